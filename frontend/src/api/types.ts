/** The API's shapes, by the words of the product. The only module that reaches into the generated schema. */
import type { components } from "./schema.gen";

type Schemas = components["schemas"];

/** The console's session is a person's; only to an API key does the platform answer without one. */
export type Session = Schemas["Session"] & { user: Schemas["Person"] };
export type StoredFile = Schemas["File"];
export type Validation = Schemas["Validation"];
export type Problem = Schemas["Problem"];
export type DatasetVersion = Schemas["DatasetVersion"];
export type DatasetRow = Schemas["Row"];
export type BaseModel = Schemas["BaseModel"];
export type FineTuningJob = Schemas["Job"];
export type FineTuningJobCreate = Schemas["JobRequest"];
export type JobEvent = Schemas["Event"];
export type Checkpoint = Schemas["Checkpoint"];
export type MetricPoint = Schemas["Point"];
export type ModelVersion = Schemas["ModelVersion"];
export type Deployment = Schemas["Deployment"];
export type Conversation = Schemas["Conversation"];
export type Message = Schemas["Message"];
export type ApiKey = Schemas["ApiKey"];
export type ApiKeySecret = Schemas["NewApiKey"];
