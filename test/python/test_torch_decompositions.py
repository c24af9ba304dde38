# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Plait's decompositions beside the torch ops they stand for, run eagerly.

All geometry, in float64, so that the tolerance (torch.testing's for float64)
leaves no room for a wrong element.
"""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")

from hypothesis import assume, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from plait.torch.decompositions import step_decompositions  # noqa: E402

aten = torch.ops.aten
TABLE = step_decompositions()
quick = settings(max_examples=40, deadline=None, derandomize=True)


def compare(op, *arguments):
    """The decomposition's results are the op's."""
    form, expected = TABLE[op], op(*arguments)
    if isinstance(expected, torch.Tensor):
        torch.testing.assert_close(form(*arguments), expected, equal_nan=True)
        return expected
    for value, reference in zip(form(*arguments), expected, strict=True):
        if reference is not None:
            torch.testing.assert_close(value, reference, equal_nan=True)
    return expected


def numbers(*shape, ties=False):
    """Different each time, the same each run. With ties, few values."""
    if ties:
        return torch.randint(-2, 3, shape).double()
    return torch.randn(*shape, dtype=torch.float64)


# --- convolutions ------------------------------------------------------------


@st.composite
def convolutions(draw, rank):
    pick = lambda low, high: draw(st.integers(low, high))  # noqa: E731
    kernel = [pick(1, 4) for _ in range(rank)]
    stride = [pick(1, 3) for _ in range(rank)]
    padding = [pick(0, 3) for _ in range(rank)]
    dilation = [pick(1, 3) for _ in range(rank)]
    groups = pick(1, 3)
    sizes = [
        draw(st.integers(max(d * (k - 1) + 1 - 2 * p, 1), 11))
        for k, d, p in zip(kernel, dilation, padding)
    ]
    channels = [pick(1, 2) * groups for _ in range(2)]
    return kernel, stride, padding, dilation, groups, sizes, channels, pick(1, 3)


def check_convolution(case, transposed, output_padding):
    kernel, stride, padding, dilation, groups, sizes, (inner, outer), batch = case
    x = numbers(batch, inner, *sizes)
    first, second = (inner, outer // groups) if transposed else (outer, inner // groups)
    weight, bias = numbers(first, second, *kernel), numbers(outer)
    shape = (stride, padding, dilation, transposed, output_padding, groups)
    y = aten.convolution(x, weight, bias, *shape)
    if transposed or len(kernel) == 1:
        compare(aten.convolution.default, x, weight, bias, *shape)
    backward = aten.convolution_backward.default
    compare(backward, torch.randn_like(y), x, weight, [outer], *shape, [True, True, True])


@pytest.mark.parametrize("rank", [1, 2])
@quick
@given(data=st.data())
def test_convolution(rank, data):
    check_convolution(data.draw(convolutions(rank)), False, [0] * rank)


@pytest.mark.parametrize("rank", [1, 2])
@quick
@given(data=st.data())
def test_transposed_convolution(rank, data):
    case = data.draw(convolutions(rank))
    kernel, stride, padding, dilation, _, sizes, _, _ = case
    more = [data.draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation)]
    for i in range(rank):
        size = (sizes[i] - 1) * stride[i] - 2 * padding[i] + dilation[i] * (kernel[i] - 1) + more[i]
        assume(size >= 0)
    check_convolution(case, True, more)


# --- pooling -----------------------------------------------------------------


@st.composite
def pools(draw, dilated):
    pick = lambda low, high: draw(st.integers(low, high))  # noqa: E731
    kernel = [pick(1, 4), pick(1, 4)]
    stride = [pick(1, 4), pick(1, 4)]
    if draw(st.booleans()):
        stride = kernel
    padding = [pick(0, k // 2) for k in kernel]
    dilation = [pick(1, 2) if dilated else 1 for _ in kernel]
    sizes = [
        draw(st.integers(max(d * (k - 1) + 1 - 2 * p, 1), 11))
        for k, d, p in zip(kernel, dilation, padding)
    ]
    return kernel, stride, padding, dilation, sizes, draw(st.booleans())


@quick
@given(case=pools(dilated=True), ties=st.booleans())
def test_max_pool(case, ties):
    kernel, stride, padding, dilation, sizes, ceil_mode = case
    x = numbers(2, 1, *sizes, ties=ties)
    window = (kernel, stride, padding, dilation, ceil_mode)
    value, index = compare(aten.max_pool2d_with_indices.default, x, *window)
    # torch's index of a window that is all padding lies in the next image.
    assume(bool((value > -torch.inf).all()))
    grad = torch.randn_like(value)
    compare(aten.max_pool2d_with_indices_backward.default, grad, x, *window, index)


@pytest.mark.parametrize("special", [-torch.inf, torch.nan])
def test_max_pool_of_special_values(special):
    x = numbers(1, 1, 6, 6)
    x[..., :4, :4] = special
    compare(aten.max_pool2d_with_indices.default, x, [3, 3], [2, 2], [1, 1], [1, 1], False)


@quick
@given(
    case=pools(dilated=False),
    include=st.booleans(),
    divisor=st.one_of(st.none(), st.integers(1, 5)),
)
def test_avg_pool(case, include, divisor):
    kernel, stride, padding, _, sizes, ceil_mode = case
    x = numbers(2, 1, *sizes)
    window = (kernel, stride, padding, ceil_mode, include, divisor)
    value = compare(aten.avg_pool2d.default, x, *window)
    compare(aten.avg_pool2d_backward.default, torch.randn_like(value), x, *window)


SIZES = st.tuples(st.integers(1, 8), st.integers(1, 8))


@quick
@given(sizes=SIZES, counts=SIZES)
def test_adaptive_pool(sizes, counts):
    x = numbers(2, 1, *sizes)
    value = compare(aten._adaptive_avg_pool2d.default, x, counts)
    compare(aten._adaptive_avg_pool2d_backward.default, torch.randn_like(value), x)
    # torch's CPU kernel has no such thing as a window smaller than an element.
    value, index = compare(aten.adaptive_max_pool2d.default, x, counts)
    compare(aten.adaptive_max_pool2d_backward.default, torch.randn_like(value), x, index)


# --- embeddings and losses ---------------------------------------------------


@pytest.mark.parametrize("padding", [-1, 0, 3])
@pytest.mark.parametrize("scale", [False, True])
def test_embedding_backward(padding, scale):
    indices = torch.tensor([[1, 3, 1], [0, 6, 1]])
    backward = aten.embedding_dense_backward.default
    compare(backward, numbers(2, 3, 4), indices, 7, padding, scale)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_scatter(dim):
    # Fewer indices than elements, and more to write than indices.
    x, src, index = numbers(4, 5, 6), numbers(4, 4, 4), torch.randint(0, 4, (3, 4, 2))
    compare(aten.scatter_add.default, x, dim, index, src)
    # Of equal indices any may win: none are.
    index = torch.arange(4).reshape([-1 if i == dim % 3 else 1 for i in range(3)]).expand(4, 4, 4)
    compare(aten.scatter.src, x, dim, index.flip(dim), src)
    compare(aten.scatter.value, x, dim, index[:3, :2, :1], 2.5)


@pytest.mark.parametrize("reduction", [0, 1, 2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("sizes", [(), (2, 3)])
def test_nll_loss(reduction, weighted, sizes):
    scores = numbers(5, 3, *sizes)
    target = torch.randint(0, 3, (5, *sizes))
    target[0] = -100
    weight = torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64) if weighted else None
    forward, backward = aten.nll_loss_forward.default, aten.nll_loss_backward.default
    if sizes:
        forward, backward = aten.nll_loss2d_forward.default, aten.nll_loss2d_backward.default
    value, total = forward(scores, target, weight, reduction, -100)
    losses = TABLE[forward](scores, target, weight, reduction, -100)
    torch.testing.assert_close(losses[0], value)
    if reduction == 1:
        torch.testing.assert_close(losses[1], total)
    grad = torch.randn_like(value)
    compare(backward, grad, scores, target, weight, reduction, -100, total)


@quick
@given(correction=st.integers(0, 2), keepdim=st.booleans(), data=st.data())
def test_variance(correction, keepdim, data):
    dims = data.draw(st.lists(st.integers(-3, -1), min_size=1, max_size=3, unique=True))
    x = numbers(3, 4, 5)
    options = dict(correction=correction, keepdim=keepdim)
    var, mean = torch.ops.aten.var_mean.correction(x, dims, **options)
    form = TABLE[aten.var_mean.correction](x, dims, **options)
    torch.testing.assert_close(form, (var, mean))
    torch.testing.assert_close(TABLE[aten.var.correction](x, dims, **options), var)


# --- diagonals, windows, running sums, interpolation --------------------------------


@quick
@given(data=st.data())
def test_diagonal(data):
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=2, max_size=4))
    first, second = data.draw(st.permutations(range(len(sizes))))[:2]
    offset = data.draw(st.integers(-sizes[first], sizes[second]))
    x = numbers(*sizes)
    part = torch.randn_like(x.diagonal(offset, first, second))
    compare(aten.diagonal_scatter.default, x, part, offset, first, second)
    compare(aten.diagonal_backward.default, part, sizes, offset, first, second)


@quick
@given(data=st.data())
def test_unfold_backward(data):
    sizes = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    dim = data.draw(st.integers(0, len(sizes) - 1))
    size, step = data.draw(st.integers(1, sizes[dim])), data.draw(st.integers(1, 4))
    grad = torch.randn_like(numbers(*sizes).unfold(dim, size, step))
    compare(aten.unfold_backward.default, grad, sizes, dim, size, step)


@pytest.mark.parametrize("op", [aten.cumsum, aten.cumprod, aten.logcumsumexp])
@pytest.mark.parametrize("size", [1, 2, 7, 8])
def test_running(op, size):
    for dim in (0, -1):
        compare(op.default, numbers(size, 3, size), dim)
    special = torch.tensor([1.0, -torch.inf, 2.0, torch.inf, 3.0], dtype=torch.float64)
    compare(op.default, special, 0)
    compare(op.default, special[:3], 0)
    compare(op.default, torch.tensor([-torch.inf, -torch.inf, 0.5], dtype=torch.float64), 0)
    if op is not aten.logcumsumexp:
        compare(op.default, torch.arange(-3, 4), 0)
        compare(op.default, torch.tensor([True, True, False]), 0)


@quick
@given(data=st.data())
def test_interpolation(data):
    rank = data.draw(st.integers(1, 3))
    name = ["linear1d", "bilinear2d", "trilinear3d"][rank - 1]
    if rank == 2 and data.draw(st.booleans()):
        name = "bicubic2d"
    before = data.draw(st.lists(st.integers(1, 6), min_size=rank, max_size=rank))
    after = data.draw(st.lists(st.integers(1, 9), min_size=rank, max_size=rank))
    corners = data.draw(st.booleans())
    scales = [None] * rank
    if not corners and data.draw(st.booleans()):
        scales = [data.draw(st.sampled_from([0.7, 1.3, 2.0])) for _ in range(rank)]
        after = [max(1, int(n * s)) for n, s in zip(before, scales)]
    for dtype in (torch.float64, torch.float32):
        x = numbers(2, 3, *before).to(dtype)
        op = getattr(aten, f"upsample_{name}")
        y = compare(op.default, x, after, corners, *scales)
        backward = getattr(aten, f"upsample_{name}_backward").default
        compare(backward, torch.randn_like(y), after, [2, 3, *before], corners, *scales)


@quick
@given(data=st.data())
def test_gradient_of_the_nearest(data):
    rank = data.draw(st.integers(1, 3))
    name = data.draw(st.sampled_from(["upsample_nearest", "_upsample_nearest_exact"]))
    before = data.draw(st.lists(st.integers(1, 6), min_size=rank, max_size=rank))
    after = data.draw(st.lists(st.integers(1, 13), min_size=rank, max_size=rank))
    scales = [None] * rank
    if data.draw(st.booleans()):
        scales = [data.draw(st.sampled_from([0.7, 1.3, 2.0, 3.0])) for _ in range(rank)]
        after = [max(1, int(n * s)) for n, s in zip(before, scales)]
    backward = getattr(aten, f"{name}{rank}d_backward").default
    compare(backward, numbers(2, 3, *after), after, [2, 3, *before], *scales)


@pytest.mark.parametrize("dim", [0, 2])
def test_weight_norm_backward(dim):
    v, g = numbers(3, 4, 5), numbers(*(n if i == dim else 1 for i, n in enumerate((3, 4, 5))))
    w, norms = aten._weight_norm_interface.default(v, g, dim)
    compare(aten._weight_norm_interface_backward.default, torch.randn_like(w), v, g, norms, dim)
