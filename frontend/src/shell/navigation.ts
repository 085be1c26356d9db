/** The rooms of the console, in the order of the rail. */
import type { IconName } from "@/design/Icon";

interface Room {
  id: "home" | "chat" | "data" | "training" | "models" | "deployments" | "settings";
  path: string;
  icon: IconName;
}

export const rooms: Room[] = [
  { id: "home", path: "/", icon: "home" },
  { id: "chat", path: "/chat", icon: "chat" },
  { id: "data", path: "/data", icon: "file" },
  { id: "training", path: "/training", icon: "curve" },
  { id: "models", path: "/models", icon: "cube" },
  { id: "deployments", path: "/deployments", icon: "server" },
  { id: "settings", path: "/settings/keys", icon: "gear" },
];
