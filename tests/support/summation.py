"""Products that add up in another order, as those of another processor would.

A BLAS may add in any order, may use another order for each row, and may start from the existing
value (`addmm_`): (C + a) + b instead of C + (a + b). While `OtherSums` is active, each matrix
product of this thread does so: rows in turn are summed forwards, backwards, and shuffled. Equal
operands still give equal bits, as on any one processor, but code can rely on nothing else.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode

_aten = torch.ops.aten
# Up to this many terms, a product is added into a sum term by term, starting with the sum.
_FEW = 4


class OtherSums(TorchDispatchMode):
    """Sum products of matrices and convolutions in other orders, forward and backward."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Replace the products; everything else stays as it was."""
        other = _OTHERS.get(func)
        kwargs = dict(kwargs or {})
        traced = any(isinstance(one, FakeTensor) for one in args)  # exported: nothing is summed
        return func(*args, **kwargs) if other is None or traced else other(*args, **kwargs)


def _orders(terms: int) -> list[Tensor]:
    stream = torch.Generator().manual_seed(terms)
    forwards = torch.arange(terms)
    return [forwards, forwards.flip(0), torch.randperm(terms, generator=stream)]


def _mm(left: Tensor, right: Tensor) -> Tensor:
    """Multiply (…, m, k) and (…, k, n), each third row in another order."""
    orders = _orders(left.shape[-1])
    parts = [
        torch.matmul(left[..., place::3, :][..., order], right[..., order, :])
        for place, order in enumerate(orders)
    ]
    out = left.new_empty(*left.shape[:-1], right.shape[-1])
    for place, part in enumerate(parts):
        out[..., place::3, :] = part
    return out


def _addmm(base: Tensor, left: Tensor, right: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    if left.shape[-1] > _FEW:
        return beta * base + alpha * _mm(left, right)
    total = (beta * base).expand(*left.shape[:-1], right.shape[-1]).clone()
    for term in range(left.shape[-1]):
        total += alpha * (left[..., :, term : term + 1] * right[..., term : term + 1, :])
    return total


def _mv(matrix: Tensor, vector: Tensor) -> Tensor:
    return _mm(matrix, vector[:, None])[:, 0]


def _addmv(
    base: Tensor, matrix: Tensor, vector: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    return beta * base + alpha * _mv(matrix, vector)


def _dot(one: Tensor, other: Tensor) -> Tensor:
    order = _orders(len(one))[2]
    return _aten.dot.default(one[order], other[order])


def _into(product: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def write(*args: Any, out: Tensor, **kwargs: Any) -> Tensor:
        return out.copy_(product(*args, **kwargs))

    return write


def _in_place(product: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def change(base: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return base.copy_(product(base, *args, **kwargs))

    return change


def _convolution(values: Tensor, weight: Tensor, *rest: Any) -> Tensor:
    """Convolve with the channels of the input in another order, but each in its group."""
    if rest[-1] == 1:
        order = _orders(values.shape[1])[2]
        values, weight = values[:, order].contiguous(), weight[:, order].contiguous()
    return _aten.convolution.default(values, weight, *rest)


def _convolution_backward(gradient: Tensor, values: Tensor, weight: Tensor, *rest: Any) -> Any:
    """Compute gradients with the images of the batch in another order."""
    order = _orders(len(values))[2]
    to_values, to_weight, to_bias = _aten.convolution_backward.default(
        gradient[order].contiguous(), values[order].contiguous(), weight, *rest
    )
    if to_values is not None:
        to_values = to_values[order.argsort()].contiguous()
    return to_values, to_weight, to_bias


_OTHERS: dict[Any, Callable[..., Any]] = {
    _aten.mm.default: _mm,
    _aten.mm.out: _into(_mm),
    _aten.bmm.default: _mm,
    _aten.bmm.out: _into(_mm),
    _aten.mv.default: _mv,
    _aten.mv.out: _into(_mv),
    _aten.dot.default: _dot,
    _aten.addmm.default: _addmm,
    _aten.addmm.out: _into(_addmm),
    _aten.addmm_.default: _in_place(_addmm),
    _aten.addmv.default: _addmv,
    _aten.addmv_.default: _in_place(_addmv),
    _aten.baddbmm.default: _addmm,
    _aten.convolution.default: _convolution,
    _aten.convolution_backward.default: _convolution_backward,
}
