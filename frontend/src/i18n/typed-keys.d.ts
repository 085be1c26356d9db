import "i18next";
import type chat from "./locales/en/chat.json";
import type common from "./locales/en/common.json";
import type data from "./locales/en/data.json";
import type home from "./locales/en/home.json";
import type models from "./locales/en/models.json";
import type settings from "./locales/en/settings.json";
import type training from "./locales/en/training.json";

declare module "i18next" {
  interface CustomTypeOptions {
    defaultNS: "common";
    resources: {
      chat: typeof chat;
      common: typeof common;
      data: typeof data;
      home: typeof home;
      models: typeof models;
      settings: typeof settings;
      training: typeof training;
    };
  }
}
