"""Run one job under its lease: claim, lay out, launch, follow, conclude, and leave nothing behind."""

from collections.abc import Callable

import structlog
from django.db import connection

from kernel.errors import Unavailable
from kernel.tenancy.scope import acting_for
from training.jobs import states
from training.jobs.errors import LeaseLost
from training.jobs.execution import checkpoints, following, leases, materials, products, scratch, setbacks
from training.jobs.execution.endings import BadCheckpoint, require_finished
from training.jobs.execution.following import Follower
from training.jobs.execution.leases import Lease
from training.jobs.execution.patience import AWAY, patiently
from training.jobs.execution.setbacks import Setback, Unfit
from training.jobs.execution.watch import Watch
from training.jobs.models import FineTuningJob
from training.jobs.states import Fault
from training.launchers.local import LocalLauncher

log = structlog.get_logger()

RECIPES = LocalLauncher()


def run_waiting_jobs(launcher: LocalLauncher = RECIPES) -> int:
    """Run queued jobs one after another until none waits or this process is told to stop; how many."""
    done = 0
    while not following.stopping.is_set() and run_next(launcher):
        done += 1
    return done


def run_next(launcher: LocalLauncher = RECIPES) -> bool:
    """Run the job that has waited longest, as far as it goes; False when none waits.

    The calling thread must stay until it returns: the recipe lives no longer than it.
    """
    lease = leases.claim()
    connection.close()
    if lease is None:
        return False
    with structlog.contextvars.bound_contextvars(job_id=str(lease.job_id), fence=lease.fence):
        log.info("run.claimed")
        run_leased(lease, launcher)
    return True


def run_leased(lease: Lease, launcher: LocalLauncher) -> None:
    """Run a job whose lease is held; whatever happens becomes its next state, or the reaper's work."""
    with Watch(lease) as watch:
        try:
            _attempt(lease, launcher, watch)
        except LeaseLost:
            # Cancelled, or taken up by another runner: nothing of ours was or will be written.
            log.info("run.lease_lost")
        except Unfit as unfit:
            _conclude(lease, watch, _failing(unfit.fault))
        except Setback as setback:
            log.warning("run.set_back", cause=setback.cause)
            _conclude(lease, watch, _putting_back(setback))
        except AWAY:
            log.warning("run.store_away")
            _conclude(lease, watch, _putting_back(_store_away()))
        except Exception:
            log.exception("run.crashed")
            _conclude(lease, watch, _putting_back(_own_fault()))
        finally:
            connection.close()


def _attempt(lease: Lease, launcher: LocalLauncher, watch: Watch) -> None:
    sheet = patiently(lambda: materials.read_sheet(lease), watch)
    with scratch.private_folder(sheet.bytes) as folder:
        laid = patiently(lambda: materials.lay_out(lease, sheet, folder), watch)
        log.info(
            "run.starting", resumed_step=laid.resumed_step, in_memory=folder.is_relative_to(scratch.MEMORY)
        )
        process = launcher.start(folder)
        try:
            watch.guard(process)
            follower = Follower(lease, process, folder)
            ending = follower.follow(watch)
        finally:
            process.close()
        try:
            finished = require_finished(ending)
        except BadCheckpoint as fault:
            if laid.resumed_step == 0:
                raise Setback(
                    "recipe_fault", "The training refused a checkpoint that it was not given."
                ) from fault
            patiently(lambda: checkpoints.mark_broken(lease, laid.resumed_step), watch)
            raise Setback("checkpoint_unusable", "A checkpoint could not be used.") from fault
        product = patiently(lambda: products.store_adapter(lease, finished, folder), watch)
        patiently(lambda: products.register(lease, product, finished, follower.last_metrics), watch)
    log.info("run.finished", digest=product.digest)


def _conclude(lease: Lease, watch: Watch, change: Callable[[FineTuningJob], None]) -> None:
    def act() -> None:
        with acting_for(lease.organization_id):
            change(leases.hold(lease))

    try:
        patiently(act, watch)
    except LeaseLost:
        log.info("run.lease_lost")
    except Setback:
        log.error("run.left_to_the_reaper")


def _failing(fault: Fault) -> Callable[[FineTuningJob], None]:
    return lambda job: states.fail(job, fault)


def _putting_back(setback: Setback) -> Callable[[FineTuningJob], None]:
    return lambda job: setbacks.put_back(job, setback)


def _own_fault() -> Setback:
    return Setback("runner_fault", "The trainer failed for a reason of its own.")


def _store_away() -> Setback:
    return Setback("service_unavailable", Unavailable.message)
