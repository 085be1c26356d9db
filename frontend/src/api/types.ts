/** The API's shapes, by the words of the product. The only module that reaches into the generated schema. */
import type { components } from "./schema.gen";

type Schemas = components["schemas"];

export type Session = Schemas["Session"];
export type StoredFile = Schemas["File"];
export type Validation = Schemas["Validation"];
export type Problem = Schemas["Problem"];
export type DatasetVersion = Schemas["DatasetVersion"];
export type DatasetRow = Schemas["Row"];
export type BaseModel = Schemas["BaseModel"];
export type FineTuningJob = Schemas["FineTuningJob"];
export type FineTuningJobCreate = Schemas["FineTuningJobCreate"];
export type JobEvent = Schemas["FineTuningJobEvent"];
export type Checkpoint = Schemas["FineTuningJobCheckpoint"];
export type MetricPoint = Schemas["MetricPoint"];
export type ModelVersion = Schemas["ModelVersion"];
export type Deployment = Schemas["Deployment"];
export type Conversation = Schemas["Conversation"];
export type Message = Schemas["Message"];
export type ApiKey = Schemas["ApiKey"];
export type ApiKeySecret = Schemas["ApiKeySecret"];
