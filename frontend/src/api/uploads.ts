/** Upload one file with progress; `fetch` cannot report how much has been sent. */
import { goToSignIn, requestHeaders } from "./browser";
import { faultFrom } from "./faults";
import type { StoredFile } from "./types";

export interface Upload {
  file: File;
  onProgress: (fraction: number) => void;
  signal: AbortSignal;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

export function uploadFile({ file, onProgress, signal }: Upload): Promise<StoredFile> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    form.append("purpose", "fine-tune");
    form.append("file", file, file.name);
    request.open("POST", "/v1/files");
    for (const [name, value] of Object.entries(requestHeaders())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) onProgress(event.loaded / event.total);
    };
    request.onload = () => {
      const body = parsed(request.responseText);
      if (request.status >= 200 && request.status < 300) {
        resolve(body as StoredFile);
        return;
      }
      if (request.status === 401) goToSignIn();
      reject(faultFrom(request.status, body, request.getResponseHeader("x-request-id")));
    };
    request.onerror = () => { reject(faultFrom(0, null, null)); };
    request.onabort = () => { reject(new DOMException("The upload was cancelled.", "AbortError")); };
    signal.addEventListener("abort", () => { request.abort(); });
    request.send(form);
  });
}
