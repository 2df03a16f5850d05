# Federated averaging by pfl, with what a measured and repeatable run adds: seeds that follow from the round, the meter around a
# client's own work, and a client that may have nothing to learn from.
import numpy as np
import torch
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.internal.ops.pytorch_ops import get_default_device
from pfl.metrics import Metrics

from .meter import Meter


def seed_of(seed: int, *place: int) -> int:
    """A seed that is never 0, which pfl takes for none."""
    return int(np.random.SeedSequence([seed, *place]).generate_state(1)[0]) | 1


def noise_seed(seed: int, index: int) -> int:
    return seed_of(seed, 4, index)


class Averaging(FederatedAveraging):
    def __init__(self, seed: int, meter: Meter, flops_per_token: float, start: int):
        super().__init__()
        self._seed, self._meter, self._flops_per_token = seed, meter, flops_per_token
        self._current_central_iteration = start

    def _get_seed(self) -> int:
        return noise_seed(self._seed, self._current_central_iteration)

    def simulate_one_user(self, model, user_dataset, central_context):
        self._initial_model_state = model.get_parameters(self._initial_model_state)
        if user_dataset.user_id is not None and self._meter.spent.down_messages <= central_context.current_central_iteration:
            self._meter.received(dict(self._initial_model_state.items()))
        statistics, _ = self.train_one_user(self._initial_model_state, model, user_dataset, central_context)
        model.set_parameters(self._initial_model_state)
        return statistics, Metrics()

    def train_one_user(self, initial_model_state, model, user_dataset, central_context):
        if len(user_dataset) == 0:
            return model.get_model_difference(initial_model_state), Metrics()
        index = central_context.current_central_iteration
        # Dropout, if the model has any, is the same whatever process trains the client and after a resume.
        torch.manual_seed(seed_of(self._seed, 5, index, user_dataset.user_id))
        params = central_context.model_train_params
        self._meter.client_begins()
        statistics, metrics = super().train_one_user(initial_model_state, model, user_dataset, central_context)
        if get_default_device().type == "cuda":
            torch.cuda.synchronize()
        steps, tokens = _work(user_dataset, params)
        self._meter.client_ends(steps, tokens * self._flops_per_token)
        return statistics, metrics


def _work(dataset, params) -> tuple[int, int]:
    """(steps, places of tokens that go through the model, padding with them)."""
    texts, length = dataset.raw_data[0].shape
    batch = params.local_batch_size or texts
    batches = -(-texts // batch)
    if params.local_num_steps is not None:
        batches = min(batches, params.local_num_steps)
    epochs = params.local_num_epochs or 1
    return epochs * batches, epochs * min(texts, batches * batch) * length
