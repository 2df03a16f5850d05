# Where a training runs: device, number type, and the other processes that share each batch (`accelerate launch`).
from contextlib import AbstractContextManager, nullcontext

import torch
from accelerate import Accelerator


class Place:
    def __init__(self, device: str, precision: str, threads: int | None):
        if threads is not None:
            torch.set_num_threads(threads)
        self._accelerator = Accelerator(cpu=device == "cpu", mixed_precision="no")
        self.device = self._accelerator.device
        self.processes = self._accelerator.num_processes
        self.rank = self._accelerator.process_index
        self.first = self._accelerator.is_main_process
        on_gpu = self.device.type == "cuda"
        bf16 = precision == "bf16" or (precision == "auto" and on_gpu and torch.cuda.is_bf16_supported())
        self.dtype = torch.bfloat16 if bf16 else torch.float32
        self.precision = "bf16" if bf16 else "fp32"
        if on_gpu:
            torch.set_float32_matmul_precision("high")

    @property
    def name(self) -> str:
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        if self.device.type == "cpu":
            threads = torch.get_num_threads()
            return f"CPU ({threads} thread{'' if threads == 1 else 's'})"
        return self.device.type

    def arithmetic(self) -> AbstractContextManager:
        return nullcontext() if self.dtype == torch.float32 else torch.autocast(self.device.type, dtype=self.dtype)

    def wait(self) -> None:
        self._accelerator.wait_for_everyone()

    def any_process(self, flag: bool) -> bool:
        if self.processes == 1:
            return flag
        return float(self.sum(torch.tensor(float(flag), device=self.device))) > 0

    def agreed(self, value: float) -> float:
        """The first process's value, in all of them: a decision that hangs on a last bit is the same everywhere."""
        return float(self.sum(torch.tensor(value if self.first else 0.0, dtype=torch.float64, device=self.device)))

    def sum(self, value: torch.Tensor) -> torch.Tensor:
        return value if self.processes == 1 else self._accelerator.reduce(value, "sum")

    def sum_gradients(self, gradients: list[torch.Tensor]) -> None:
        if self.processes == 1 or not gradients:
            return
        flat = torch.cat([g.reshape(-1) for g in gradients])
        torch.distributed.all_reduce(flat)
        start = 0
        for gradient in gradients:
            gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
            start += gradient.numel()

    def close(self) -> None:
        if self.processes > 1:
            self._accelerator.end_training()
            if torch.distributed.is_initialized():
                torch.distributed.destroy_process_group()

