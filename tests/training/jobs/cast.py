"""The cast of the jobs' tests: organizations with keys, files that are ready, and a scripted recipe."""

import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import httpx2
import openai
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection

from kernel import ids
from kernel.storage import objects
from kernel.storage.names import object_key
from kernel.tenancy.scope import acting_for
from tenants.access.services.keys import make_api_key
from tenants.datasets.models import DatasetVersion, File, FileState
from tenants.datasets.services import delete_file
from tenants.organizations.models import Organization, Project
from tenants.organizations.services.founding import found_organization
from training.jobs import services, states
from training.jobs.execution import following, runner
from training.jobs.models import ENDED, Checkpoint, FineTuningJob, JobEvent
from training.launchers.local import LocalLauncher
from training.registry.models import BaseModel

FAKE = Path(__file__).with_name("fake_recipe.py")


def fake_command(**options: Any) -> tuple[str, ...]:
    """The command of the scripted recipe; an option that is True is a flag."""
    words: list[str] = [sys.executable, str(FAKE)]
    for name, value in options.items():
        words.append("--" + name.replace("_", "-"))
        if value is not True:
            words.append(str(value))
    return tuple(words)


@dataclass
class Tenant:
    """One organization with one project and one key."""

    organization: Organization
    project: Project
    secret: str

    def transport(self) -> httpx.WSGITransport:
        """The control plane in this process."""
        return httpx.WSGITransport(app=WSGIHandler())

    def client(self) -> openai.OpenAI:
        """The official client."""
        return openai.OpenAI(
            api_key=self.secret,
            base_url="http://127.0.0.1/v1",
            http_client=httpx2.Client(transport=httpx2.WSGITransport(app=WSGIHandler())),
            max_retries=0,
        )

    def get(self, path: str) -> httpx.Response:
        """A plain GET."""
        return self._ask("GET", path)

    def post(self, path: str, body: Any) -> httpx.Response:
        """A plain POST of JSON."""
        return self._ask("POST", path, json=body)

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.secret}"}
        with httpx.Client(transport=self.transport(), base_url="http://127.0.0.1") as client:
            return client.request(method, path, headers=headers, **options)

    def file(
        self,
        *,
        rows: int = 12,
        state: FileState = FileState.PROCESSED,
        purpose: str = "fine-tune",
        reason: str = "",
    ) -> str:
        """A file in this state, with its dataset version when it is processed; its public id."""
        organization_id = self.organization.pk
        row = {"messages": [{"role": "user", "content": "1 + 1"}, {"role": "assistant", "content": "2"}]}
        content = (json.dumps(row) + "\n").encode() * rows
        version_id = ids.uuid7()
        stored = objects.put(
            organization_id, object_key(organization_id, "datasets", version_id), io.BytesIO(content)
        )
        with acting_for(organization_id):
            file = File.objects.create(
                project=self.project,
                filename="rows.jsonl",
                purpose=purpose,
                bytes=len(content),
                sha256="0" * 64,
                object_key=stored.key,
                state=state,
                state_reason=reason,
            )
            if state == FileState.PROCESSED:
                self._version(file, stored, version_id, rows)
        public: str = file.public_id
        return public

    def conclude(self, file_id: str, state: FileState, *, rows: int = 12) -> None:
        """What the validation of a waiting file does at its end."""
        with acting_for(self.organization.pk):
            file = File.objects.get(pk=ids.parse("file", file_id))
            stored = objects.StoredObject(file.object_key, file.bytes, "0" * 64)
            File.objects.filter(pk=file.pk).update(state=state, state_reason="2 of 12 rows cannot be used.")
            if state == FileState.PROCESSED:
                self._version(file, stored, ids.uuid7(), rows)
            services.file_concluded(file.pk)

    def forget_file(self, file_id: str) -> None:
        """Delete a file as its owner would."""
        with acting_for(self.organization.pk):
            delete_file(File.objects.get(pk=ids.parse("file", file_id)))

    def fail_deployment(self, job_id: str, reason: str) -> None:
        """What the deployment's failed event does."""
        model_version_id = self.job(job_id).model_version_id
        assert model_version_id is not None
        with acting_for(self.organization.pk):
            services.deployment_failed(model_version_id, reason)

    def _version(self, file: File, stored: objects.StoredObject, version_id: UUID, rows: int) -> None:
        DatasetVersion.objects.create(
            id=version_id,
            project=self.project,
            file=file,
            digest=stored.sha256_of_plaintext,
            format="chat",
            rows=rows,
            bytes=stored.bytes,
            object_key=stored.key,
        )

    def command(self, **options: Any) -> tuple[str, ...]:
        """The command of the scripted recipe."""
        return fake_command(**options)

    def start(self, **options: Any) -> str:
        """A queued job; its public id."""
        training_file = options.pop("training_file", None) or self.file()
        model = options.pop("model", "tiny-for-tests")
        job = self.client().fine_tuning.jobs.create(model=model, training_file=training_file, **options)
        return job.id

    def job(self, job_id: str) -> FineTuningJob:
        """The job's row as it is now."""
        with acting_for(self.organization.pk):
            found: FineTuningJob = FineTuningJob.objects.get(pk=ids.parse("ftjob", job_id))
        return found

    def change(self, job_id: str, **changes: Any) -> None:
        """Put something into the job's row that time would have."""
        with acting_for(self.organization.pk):
            FineTuningJob.objects.filter(pk=ids.parse("ftjob", job_id)).update(**changes)

    def steps(self, job_id: str) -> list[int]:
        """The steps on its curve."""
        points = self.get(f"/api/v1/fine-tuning-jobs/{job_id}/metrics").json()["points"]
        return [point["step"] for point in points]

    def checkpoints(self, job_id: str) -> list[Checkpoint]:
        """Its checkpoints, the first step first."""
        with acting_for(self.organization.pk):
            return list(Checkpoint.objects.filter(job_id=ids.parse("ftjob", job_id)).order_by("step"))

    def story(self, job_id: str) -> list[str]:
        """What was told of the job, in order."""
        with acting_for(self.organization.pk):
            events = JobEvent.objects.filter(job_id=ids.parse("ftjob", job_id), type="message")
            return [event.message for event in events.order_by("pk")]

    def deploy(self, job_id: str) -> None:
        """What the deployment's ready event does."""
        model_version_id = self.job(job_id).model_version_id
        assert model_version_id is not None
        with acting_for(self.organization.pk):
            services.model_answers(model_version_id)


def make_tenant(name: str) -> Tenant:
    """A new organization."""
    organization, project = found_organization(name)
    with acting_for(organization.pk):
        key = make_api_key("tests", project=project, by=None)
    return Tenant(organization, project, key.secret)


def end_all(tenant: Tenant) -> None:
    """Leave no job behind that another test's trainer would run."""
    with acting_for(tenant.organization.pk):
        for job in FineTuningJob.objects.exclude(state__in=ENDED):
            states.cancel(states.lock(job.pk))


def run_waiting_jobs(**options: Any) -> int:
    """Run what waits with the scripted recipe, as a trainer would; takes the recipe's options."""
    return runner.run_waiting_jobs(LocalLauncher(command=fake_command(**options)))


def make_base_model() -> BaseModel:
    """A base model that only the scripted recipe can train."""
    model, _ = BaseModel.objects.get_or_create(
        name="tiny-for-tests",
        defaults={
            "architecture": "LlamaForCausalLM",
            "parameters": 1000,
            "context_tokens": 512,
            "digest": "0" * 64,
            "folder": "tiny-for-tests",
            "chat_template": "{{ messages }}",
            "eos_token": "</s>",
        },
    )
    return model


def be_ready_again() -> None:
    """After a trainer was told to stop."""
    following.stopping.clear()
    connection.close()
