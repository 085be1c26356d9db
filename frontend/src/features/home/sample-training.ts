/** From one press to a running job: bring the sample in, let it be checked, start training on it. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ApiFault } from "@/api/faults";
import type { FineTuningJob } from "@/api/types";
import { createSampleFile, waitUntilValidated } from "@/features/datasets";
import { createJob, fetchBaseModels } from "@/features/training";
import { resources } from "@/live/server-events";

export const stages = ["uploading", "checking", "starting"] as const;
export type Stage = (typeof stages)[number];

const SAMPLE_SUFFIX = "sample";
const PATIENCE_MS = 5 * 60_000;

function refusal(code: string, message: string): ApiFault {
  return new ApiFault(409, { message, type: "console", code, param: null }, null);
}

interface Words {
  invalid: string;
  noBase: string;
}

export function useSampleTraining(words: Words, onStarted: (job: FineTuningJob) => void) {
  const queries = useQueryClient();
  const [stage, setStage] = useState<Stage>("uploading");
  const training = useMutation({
    mutationFn: async () => {
      setStage("uploading");
      const file = await createSampleFile();
      setStage("checking");
      const validation = await waitUntilValidated(file.id, AbortSignal.timeout(PATIENCE_MS));
      if (validation.state !== "valid") throw refusal("sample_invalid", words.invalid);
      setStage("starting");
      const [base] = await fetchBaseModels();
      if (!base) throw refusal("no_base_model", words.noBase);
      return createJob({ model: base.name, training_file: file.id, suffix: SAMPLE_SUFFIX });
    },
    onSuccess: onStarted,
    onSettled: () => {
      void queries.invalidateQueries({ queryKey: [resources.file] });
      void queries.invalidateQueries({ queryKey: [resources.job] });
    },
  });
  return { stage, start: () => { training.mutate(); }, isPending: training.isPending, error: training.error };
}
