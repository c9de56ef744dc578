"""Goldens for the training of violence: TrivialAugmentWide through torchvision, losses and optimiser steps through
PyTorch.

    pip install torch==2.8.0 torchvision==0.23.0
    python tests/goldens/violence.py           # writes tests/goldens/violence.json

Pictures are made by a formula that the tests know too, and of what an operation makes of them only the digest is kept.
Steps are taken as the published training takes them: gradients of two batches, each loss halved, clipped by their norm,
with a step size of the one-cycle schedule that differs between the groups.
"""

import hashlib
import json
import pathlib

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.transforms import InterpolationMode, TrivialAugmentWide
from torchvision.transforms.autoaugment import _apply_op

torch.manual_seed(0)
LARGEST_NORM = 0.4
SIZES = [(24, 20), (31, 17), (2, 2)]
WEIGHTS = torch.tensor([0.893, 1.307])


def picture(number):
    """All levels, a few levels, and a picture that is too small to be sharpened."""
    width, height = SIZES[number]
    levels = [((place * 7919 + number * 104729) % 65521) % 256 for place in range(width * height * 3)]
    if number == 1:
        levels = [100 + level % 7 * 9 for level in levels]
    return torch.tensor(levels, dtype=torch.uint8).reshape(height, width, 3).permute(2, 0, 1)


def operations():
    space = list(TrivialAugmentWide()._augmentation_space(31).items())
    cases = []
    for index, (name, (magnitudes, signed)) in enumerate(space):
        bins = [0, 3, 11, 15, 22, 30] if magnitudes.ndim else [0]
        for number in range(len(SIZES)):
            for bin in bins if number < 2 else bins[-1:]:
                for negative in [False, True] if signed and bin else [False]:
                    magnitude = float(magnitudes[bin]) if magnitudes.ndim else 0.0
                    applied = _apply_op(
                        picture(number), name, -magnitude if negative else magnitude, InterpolationMode.NEAREST, None
                    )
                    pixels = bytes(applied.permute(1, 2, 0).flatten().tolist())
                    digest = hashlib.sha256(pixels).hexdigest()[:16]
                    cases.append([number, index, bin, negative, digest])
    return cases


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.head = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(torch.tanh(self.encoder(x)))


def state(model):
    return {name: value.flatten().tolist() for name, value in model.state_dict().items()}


def steps(make, momentum):
    model = Network()
    batches = [(torch.randn(6, 3), torch.randint(0, 2, (6,))) for _ in range(8)]
    before = state(model)
    decayed, plain = ([p for p in model.parameters() if (p.dim() >= 2) == is_decayed] for is_decayed in (True, False))
    groups = []
    for parameters, decay in ((decayed, 0.05), (plain, 0.0)):
        for prefix, rate in (("encoder", 0.03), ("head", 0.2)):
            named = [p for n, p in model.named_parameters() if n.startswith(prefix) and any(p is q for q in parameters)]
            groups.append({"params": named, "weight_decay": decay, "lr": rate})
    optimizer = make(groups)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=[group["lr"] for group in groups],
        total_steps=6,
        pct_start=0.5,
        cycle_momentum=momentum,
        base_momentum=0.85,
        max_momentum=0.95,
    )
    norms = []
    for step in range(4):
        optimizer.zero_grad()
        for x, y in batches[2 * step : 2 * step + 2]:
            (F.cross_entropy(model(x), y) / 2).backward()
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), LARGEST_NORM).item())
        optimizer.step()
        scheduler.step()
    assert min(norms) < LARGEST_NORM < max(norms), norms
    return {
        "rows": [x.flatten().tolist() for x, _ in batches],
        "labels": [y.tolist() for _, y in batches],
        "before": before,
        "after": state(model),
    }


logits, labels = torch.randn(9, 2) * 2, torch.tensor([0, 0, 1, 1, -1, 1, 0, 1, 1])
known = labels >= 0
violent = torch.where(known, labels, 0)
boundary = torch.ones(9)
for place in (violent[1:] != violent[:-1]).nonzero().flatten() + 1:
    boundary[max(0, place - 1) : place + 2] = 2.0
boundary[~known] = 0.0
ce = F.cross_entropy(logits, violent, reduction="none")
focal = WEIGHTS[violent] * (1 - torch.exp(-ce)) ** 1.5 * ce

golden = {
    "operations": operations(),
    "logits": logits.tolist(),
    "labels": labels.tolist(),
    # Cross-entropy with weights; smoothed; focal; boundary of radius 1 and weight 2.
    "losses": [
        F.cross_entropy(logits, labels, weight=WEIGHTS, ignore_index=-1).item(),
        F.cross_entropy(logits, labels, weight=WEIGHTS, ignore_index=-1, label_smoothing=0.1).item(),
        focal[known].mean().item(),
        ((ce * boundary).sum() / boundary.sum()).item(),
    ],
    "adam_w": steps(lambda groups: torch.optim.AdamW(groups), False),
    "nesterov": steps(lambda groups: torch.optim.SGD(groups, momentum=0.95, nesterov=True), True),
}
path = pathlib.Path(__file__).parent / "violence.json"
path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
