# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What to write in place of an op that has no import: the end of a refusal."""

_ELSE = "write it with other ops, or compute it before the step and give it as an input"
_LARGEST = (
    "argmax and amax have an import: for the k largest, take one after the other and mask it; what"
    " depends on inputs alone, sort before the step"
)
_MATRIX = (
    "of what depends on no parameter, compute it before the step and give it as an input; else"
    " write it with products, as x = x @ (2 * eye - a @ x), repeated, for an inverse"
)
_MARGIN = "write it with the label's own score, scores.gather(1, y[:, None]), and clamp(min=0)"

#: By the beginning of an op's name.
_INSTEAD = {
    "_cdist": "write (a[:, None] - b[None]).norm(dim=-1)",
    "_ctc_loss": "write the sum over alignments with logsumexp, in a loop over times",
    "_embedding_bag": "write Embedding, and .sum(1) or .mean(1)",
    "_fft": "write a product with the cosines and sines of 2 * pi * k * n / N",
    "_linalg": _MATRIX,
    "_unique": "its size depends on values: compute it before the step, and give it as an input",
    "_upsample": "antialias=False has an import",
    "as_strided_scatter": "use torch.where, torch.cat or torch.stack",
    "bincount": "write (x == torch.arange(n)[:, None]).sum(1)",
    "complex": "keep the real and the imaginary part apart",
    "cummax": _LARGEST,
    "cummin": _LARGEST,
    "grid_sampler": "choose the neighbours by index, clamped, and write the sum with their weights",
    "hypot": "write (x * x + y * y).sqrt()",
    "index_copy": "write x = x.clone(); x[index] = values",
    "kthvalue": _LARGEST,
    "linalg": _MATRIX,
    "masked_scatter": "use torch.where",
    "median": _LARGEST,
    "multi_margin_loss": _MARGIN,
    "multilabel_margin_loss": _MARGIN,
    "put": "write x = x.flatten().clone(); x[index] = values",
    "scatter_reduce": "scatter_add has an import, and amax of a torch.where",
    "sort": _LARGEST,
    "take": "write x.flatten()[index]",
    "topk": _LARGEST,
    "view_as_complex": "keep the real and the imaginary part apart",
}


def instead_of(name: str) -> str:
    """What to write, for the name of an op without namespace and overload."""
    fits = [start for start in _INSTEAD if name.startswith(start)]
    return _INSTEAD[max(fits, key=len)] if fits else _ELSE
