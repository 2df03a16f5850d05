# Federated averaging by pfl, with what a measured and repeatable run adds: seeds that follow from the round, the meter around a
# client's own work, a client that may have nothing to learn from, and clients that train side by side.
from collections.abc import Callable

import numpy as np
import torch
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.internal.ops.pytorch_ops import get_default_device
from pfl.metrics import Metrics
from pfl.stats import MappedVectorStatistics

from .cohorts import Cohorts
from .flat import UPDATE
from .meter import TIMED, Meter
from .side_by_side import SideBySide


def seed_of(seed: int, *place: int) -> int:
    """A seed that is never 0, which pfl takes for none."""
    return int(np.random.SeedSequence([seed, *place]).generate_state(1)[0]) | 1


class Averaging(FederatedAveraging):
    def __init__(self, seed: int, noise_seed: Callable[[int], int], meter: Meter, flops_per_token: float, start: int, cohorts: Cohorts, beside: SideBySide):
        super().__init__()
        self._seed, self._noise_seed, self._meter, self._flops_per_token = seed, noise_seed, meter, flops_per_token
        self._current_central_iteration = start
        self._cohorts, self._beside = cohorts, beside
        # Of this round: the weights that every client starts from, and what those moved them by that trained ahead.
        self._round: int | None = None
        self._ahead: dict[int, torch.Tensor] = {}

    def _get_seed(self) -> int:
        return self._noise_seed(self._current_central_iteration)

    def simulate_one_user(self, model, user_dataset, central_context):
        if self._round != central_context.current_central_iteration:
            self._round, self._ahead = central_context.current_central_iteration, {}
            self._initial_model_state = model.get_parameters(self._initial_model_state)
        if user_dataset.user_id is not None and self._meter.spent.down_messages <= self._round:
            self._meter.received(dict(self._initial_model_state.items()))
        return self.train_one_user(self._initial_model_state, model, user_dataset, central_context)

    def train_one_user(self, initial_model_state, model, user_dataset, central_context):
        if len(user_dataset) == 0:
            return self._flat(model.get_model_difference(initial_model_state)), Metrics()
        params, client = central_context.model_train_params, user_dataset.user_id
        # The first ones of a process train alone, and are timed.
        while client not in self._ahead and self._beside.width > 1 and self._meter.timed >= TIMED:
            self._train_ahead(client, params)
        if client in self._ahead:
            return self._beside.flat.statistics(self._ahead.pop(client)), Metrics()
        # Dropout, if the model has any, is the same whatever process trains the client and after a resume.
        torch.manual_seed(seed_of(self._seed, 5, self._round, client))
        self._meter.client_begins()
        statistics, metrics = super().train_one_user(initial_model_state, model, user_dataset, central_context)
        self._synchronise()
        self._meter.client_ends(*self._work(user_dataset, params))
        model.set_parameters(initial_model_state)
        return self._flat(statistics), metrics

    def _flat(self, statistics):
        flat = self._beside.flat
        return flat.statistics(flat.join(statistics))

    def process_aggregated_statistics(self, central_context, aggregate_metrics, model, statistics):
        whole = self._beside.flat.split(statistics[UPDATE])
        by_name = MappedVectorStatistics(whole, weight=statistics.weight)
        return super().process_aggregated_statistics(central_context, aggregate_metrics, model, by_name)

    def _train_ahead(self, client: int, params) -> None:
        datasets = self._cohorts.from_client(client, self._beside.width)
        self._meter.client_begins()
        changes = self._beside.train(datasets, params)
        self._synchronise()
        self._meter.clients_end([self._work(d, params) for d in datasets] if changes is not None else [])
        for dataset, change in zip(datasets, changes or []):
            self._ahead[dataset.user_id] = change

    def _synchronise(self) -> None:
        if get_default_device().type == "cuda":
            torch.cuda.synchronize()

    def _work(self, dataset, params) -> tuple[int, float]:
        """(steps, operations); places of tokens count that go through the model, padding to the client's longest text with
        them."""
        texts, length = dataset.raw_data[0].shape
        batch = params.local_batch_size or texts
        batches = -(-texts // batch)
        if params.local_num_steps is not None:
            batches = min(batches, params.local_num_steps)
        epochs = params.local_num_epochs or 1
        return epochs * batches, epochs * min(texts, batches * batch) * length * self._flops_per_token
