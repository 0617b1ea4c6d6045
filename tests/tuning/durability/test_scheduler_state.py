"""Schedulers of Tune hear each epoch once, and keep their state when a search is resumed."""

import pytest
from ray.tune.experiment.trial import Trial
from ray.tune.schedulers import TrialScheduler

from darec.errors import UserError
from darec.tuning.durability.scheduler_state import Resumable, SchedulerState
from darec.tuning.study.algorithms import SCHEDULERS
from darec.tuning.trial.names import METRIC, TIME

EPOCHS, TRIALS = 9, 12


class Controller:
    """What schedulers use of Tune's controller, and a loop that trains one trial at a time."""

    def __init__(self, name, alive=12):
        self.name, self.alive = name, alive
        self.scheduler = Resumable(SCHEDULERS[name].make(EPOCHS))
        assert self.scheduler.set_search_properties(METRIC, "min")
        self.trials, self.epochs = [], {}
        self.top_up()

    def top_up(self):
        """Let the sampler draw trials until so many are alive."""
        while len(self.live()) < self.alive and len(self.trials) < TRIALS:
            trial = Trial("any", stub=True, trial_id=f"{len(self.trials):02}")
            self.trials.append(trial)
            self.scheduler.on_trial_add(self, trial)

    def live(self):
        return [trial for trial in self.trials if not trial.is_finished()]

    def get_trials(self):
        return self.trials

    def get_live_trials(self):
        return set(self.trials)

    def stop_trial(self, trial):
        self.scheduler.on_trial_remove(self, trial)
        trial.set_status(Trial.TERMINATED)

    def _set_trial_status(self, trial, status):
        trial.set_status(status)

    def report(self, trial, epoch):
        """Let a trial report, and do what the scheduler decides."""
        number = int(trial.trial_id)
        result = {TIME: epoch, METRIC: 1 + number * 7 % 12 + 5 / (epoch + number % 3)}
        trial.set_status(Trial.RUNNING)
        self.epochs[trial.trial_id] = epoch
        decision = TrialScheduler.STOP
        if epoch < EPOCHS:
            decision = self.scheduler.on_trial_result(self, trial, result)
        if decision == TrialScheduler.STOP:
            self.scheduler.on_trial_complete(self, trial, result)
            trial.set_status(Trial.TERMINATED)
        if decision == TrialScheduler.PAUSE:
            trial.set_status(Trial.PAUSED)
        return decision

    def run(self, reports=1000):
        """Train the trials that the scheduler chooses, until so many results were reported."""
        while True:
            self.top_up()
            chosen = self.scheduler.choose_trial_to_run(self)
            if chosen is None:
                assert not self.live()
                return self
            chosen.set_status(Trial.RUNNING)
            while chosen.status == Trial.RUNNING:
                self.report(chosen, self.epochs.get(chosen.trial_id, 0) + 1)
                self.top_up()
                reports -= 1
                if not reports:
                    return self

    def resumed(self, checkpoint_at):
        """Return a controller as Tune makes it of a snapshot: unfinished trials wait."""
        state = SchedulerState(self.scheduler).get_state()
        again = Controller(self.name, alive=0)
        callback = SchedulerState(again.scheduler)
        callback.expected = len(self.trials)
        callback.set_state(state)
        running = [trial for trial in self.trials if trial.status == Trial.RUNNING]
        again.epochs = dict(self.epochs)
        for trial in running:  # the epochs since its last checkpoint are lost
            again.epochs[trial.trial_id] = min(self.epochs[trial.trial_id], checkpoint_at)
        for before in sorted(self.trials, key=lambda trial: trial not in running):
            trial = Trial("any", stub=True, trial_id=before.trial_id)
            if before.is_finished() and not stopped_while_paused(before, self):
                trial.set_status(before.status)
            again.trials.append(trial)
            again.scheduler.on_trial_add(again, trial)
        assert callback.get_state() == state  # a snapshot before the first step
        callback.setup()
        again.alive = self.alive
        again.scheduler.choose_trial_to_run(again)
        again.trials.sort(key=lambda trial: trial.trial_id not in {t.trial_id for t in running})
        return again

    def end(self):
        return sorted((trial.trial_id, self.epochs[trial.trial_id]) for trial in self.trials)


def stopped_while_paused(trial, controller):
    """Return whether Tune's snapshot still says that this trial is paused."""
    return controller.name == "hyperband" and controller.epochs[trial.trial_id] in (1, 3)


def test_hyperband_goes_on_without_a_last_trial_that_ended_by_itself():
    controller = Controller("hyperband")
    five = controller.trials[3:8]
    for trial in [*controller.trials[:3], *controller.trials[8:]]:
        controller.stop_trial(trial)
    for epoch in (1, 2, 3):
        for trial in five:
            controller.report(trial, epoch)
    first, second = controller.live()  # two of five go on, to nine epochs
    controller.scheduler.on_trial_result(controller, first, {TIME: 9, METRIC: 1.0})
    first.set_status(Trial.PAUSED)
    second.set_status(Trial.RUNNING)
    controller.scheduler.on_trial_complete(controller, second, {TIME: 5, METRIC: 4.0})
    second.set_status(Trial.TERMINATED)
    assert controller.scheduler.scheduler.choose_trial_to_run(controller) is None
    assert controller.scheduler.choose_trial_to_run(controller) is first


@pytest.mark.parametrize("name", sorted(SCHEDULERS))
def test_a_resumed_scheduler_decides_as_it_would_have(name):
    alive = 6 if name == "hyperband" else 1  # it needs several to compare
    straight = Controller(name, alive).run().end()
    assert len(straight) == TRIALS
    for reports in range(1, sum(epochs for _, epochs in straight)):
        for checkpoint_at in (0, 2, 9):
            again = Controller(name, alive).run(reports).resumed(checkpoint_at)
            twice = again.run(3).resumed(checkpoint_at).run() if reports % 5 == 0 else again.run()
            assert twice.end() == straight, (reports, checkpoint_at)


def failed(controller, trial):
    """Let a trial's process die; Tune queues it again."""
    trial.set_status(Trial.ERROR)
    controller.scheduler.on_trial_error(controller, trial)
    trial.set_status(Trial.PENDING)
    controller.scheduler.on_trial_add(controller, trial)


def test_an_epoch_that_is_repeated_is_heard_once_and_a_stop_is_repeated():
    controller = Controller("asha", alive=1).run(1)
    (trial,) = controller.trials
    controller.scheduler.on_trial_result(controller, trial, {TIME: 3, METRIC: 1.0})
    late = Trial("any", stub=True, trial_id="99")
    controller.scheduler.on_trial_add(controller, late)
    bad = {TIME: 3, METRIC: 9.0}
    stop = controller.scheduler.on_trial_result(controller, late, bad)
    assert stop == TrialScheduler.STOP
    failed(controller, late)  # before it has stopped
    again = [
        controller.scheduler.on_trial_result(controller, late, {**bad, TIME: t}) for t in (1, 3)
    ]
    assert again == [TrialScheduler.CONTINUE, TrialScheduler.STOP]


def test_a_trial_that_is_to_be_paused_when_its_process_dies_is_paused():
    controller = Controller("hyperband")
    trial = controller.trials[3]
    for epoch in (1, 2, 3):
        controller.report(trial, epoch)
    assert trial.status == Trial.PAUSED
    failed(controller, trial)
    assert trial.status == Trial.PAUSED


def test_a_trial_that_was_given_up_begins_anew_with_the_next_run():
    controller = Controller("hyperband")
    trial = controller.trials[3]
    controller.report(trial, 1)
    controller.scheduler.on_trial_error(controller, trial)
    trial.set_status(Trial.PENDING)
    again = controller.resumed(0)
    assert len(again.run().end()) == TRIALS


def test_a_search_that_tune_begins_anew_is_halted():
    callback = SchedulerState(Resumable(SCHEDULERS["asha"].make(EPOCHS)))
    callback.expected = 3
    with pytest.raises(UserError, match="could not restore the search's 3 trials"):
        callback.setup()
