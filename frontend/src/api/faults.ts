/** What went wrong, as the platform says it: message, code, the parameter at fault, and the request to quote. */

export interface FaultBody {
  message: string;
  type: string;
  code: string | null;
  param: string | null;
}

export class ApiFault extends Error {
  readonly status: number;
  readonly code: string | null;
  readonly param: string | null;
  readonly requestId: string | null;

  constructor(status: number, body: FaultBody, requestId: string | null) {
    super(body.message);
    this.name = "ApiFault";
    this.status = status;
    this.code = body.code;
    this.param = body.param;
    this.requestId = requestId;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function textOrNull(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

/** Read `{"error": {…}}` from an answer's body; anything else becomes a fault that names the status. */
export function faultFrom(status: number, body: unknown, requestId: string | null): ApiFault {
  const error = isRecord(body) && isRecord(body["error"]) ? body["error"] : {};
  const fallback = status === 0 ? "The server could not be reached." : `The server answered with status ${String(status)}.`;
  return new ApiFault(
    status,
    {
      message: textOrNull(error["message"]) ?? fallback,
      type: textOrNull(error["type"]) ?? "unknown",
      code: textOrNull(error["code"]),
      param: textOrNull(error["param"]),
    },
    requestId,
  );
}
