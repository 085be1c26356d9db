/** Uploads under way: several at once, each with its progress, its fault and a way to stop it. */
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { StoredFile } from "@/api/types";
import { uploadFile } from "@/api/uploads";
import { resources } from "@/live/server-events";

export interface UploadState {
  id: number;
  name: string;
  bytes: number;
  fraction: number;
  error: unknown;
  stop: () => void;
}

let nextId = 1;

export function useUploads(onStored: (file: StoredFile) => void) {
  const queries = useQueryClient();
  const [uploads, setUploads] = useState<UploadState[]>([]);
  const change = (id: number, part: Partial<UploadState>) => {
    setUploads((all) => all.map((upload) => (upload.id === id ? { ...upload, ...part } : upload)));
  };
  const drop = (id: number) => { setUploads((all) => all.filter((upload) => upload.id !== id)); };

  const start = async (file: File) => {
    const id = nextId++;
    const control = new AbortController();
    const stop = () => {
      control.abort();
      drop(id);
    };
    setUploads((all) => [...all, { id, name: file.name, bytes: file.size, fraction: 0, error: null, stop }]);
    try {
      const stored = await uploadFile({ file, signal: control.signal, onProgress: (fraction) => { change(id, { fraction }); } });
      drop(id);
      await queries.invalidateQueries({ queryKey: [resources.file] });
      onStored(stored);
    } catch (error) {
      if (!control.signal.aborted) change(id, { error });
    }
  };
  return { uploads, start: (files: File[]) => { for (const file of files) void start(file); } };
}
