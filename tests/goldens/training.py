"""Goldens for training: losses, optimiser steps and the learning-rate schedule through PyTorch, CCC through NumPy.

    pip install torch==2.8.0 numpy==2.4.6
    python tests/goldens/training.py           # writes tests/goldens/training.json

Three steps are taken, because the first step of Adam only depends on the sign of the gradient. Weight decay is larger
than the published 1e-5 and 1/1024, so that it shows and the scale of the gradients does. Dropout is off.
"""

import json
import pathlib

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
STEPS, RATE = 3, 1e-2
CLASS_WEIGHTS = torch.tensor([1.0, 10.6920, 16.4514, 19.5152, 1.8562, 2.2501, 5.6049, 1.0683])
POSITIVE_WEIGHTS = torch.tensor(
    [7.4635, 19.0882, 5.4951, 2.7581, 1.5188, 1.9034, 3.0832, 20.0, 20.0, 20.0, 0.5960, 12.4645]
)


def ccc(x, y):
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    spread = x.var(unbiased=False) + y.var(unbiased=False) + (x.mean() - y.mean()) ** 2
    return 2 * covariance / (spread + 1e-8)


def mean_ccc(x, y):
    return (ccc(x[:, 0], y[:, 0]) + ccc(x[:, 1], y[:, 1])) / 2


def focal(z, y):
    ce = F.cross_entropy(z, y, reduction="none")
    return (CLASS_WEIGHTS[y] * (1 - torch.exp(-ce)) ** 2 * ce).mean()


def cross_entropy(z, y):
    return F.cross_entropy(z, y, weight=CLASS_WEIGHTS)


def concordance_loss(x, y):
    return 1 - mean_ccc(x, y)


def binary(z, y):
    return F.binary_cross_entropy_with_logits(z, y, pos_weight=POSITIVE_WEIGHTS)


def state(model, prefix=""):
    return {
        prefix + name: {"shape": list(value.shape), "values": value.detach().flatten().tolist()}
        for name, value in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def step(model, loss, x, y, decay, prefix=""):
    """The state before and after a few steps, and what the model then gives."""
    before = state(model, prefix)
    adam = torch.optim.Adam(model.parameters(), lr=RATE, weight_decay=decay)
    losses = []
    for _ in range(STEPS):
        adam.zero_grad()
        value = loss(model(x), y)
        value.backward()
        adam.step()
        losses.append(value.item())
    after = state(model, prefix)
    outputs = model.eval()(x).detach().tolist()
    return {
        "decay": decay,
        "rows": x.tolist(),
        "labels": [[float(v)] for v in y] if y.dim() == 1 else y.tolist(),
        "before": before,
        "losses": losses,
        "after": after,
        "outputs": outputs,
    }


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 8))

    def forward(self, x):
        return self.net(x)


class ValenceArousal(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(10, 2)

    def forward(self, x):
        return torch.tanh(self.fc(x))


class Embedding(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.bn1, self.fc2 = nn.Linear(16, 6), nn.BatchNorm1d(6), nn.Linear(6, 12)

    def forward(self, x):
        return self.fc2(torch.relu(self.bn1(self.fc1(x))))


class Logits(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 12)

    def forward(self, x):
        return self.fc(x)


x16, x10, x8 = torch.randn(10, 16), torch.randn(10, 10), torch.randn(10, 8)
classes = torch.randint(0, 8, (10,))
values = torch.rand(10, 2) * 2 - 1
units = (torch.rand(10, 12) < 0.4).float()
predictions = torch.tanh(x10)[:, :2]
errors = (predictions - values) ** 2

optimiser = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=1e-3)
plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, mode="min", factor=0.5, patience=2)
# Improvements of more and of less than a ten-thousandth, and a run long enough to reduce twice.
plateau_losses = [1.0, 0.9, 0.89999, 0.8999, 0.89985, 0.8, 0.81, 0.82, 0.83, 0.79, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8]
rates = []
for loss in plateau_losses:
    plateau.step(loss)
    rates.append(optimiser.param_groups[0]["lr"])

a, b = predictions[:, 0].numpy().astype(np.float64), values[:, 0].numpy().astype(np.float64)
spread = a.var() + b.var() + (a.mean() - b.mean()) ** 2

golden = {
    "class_weights": CLASS_WEIGHTS.tolist(),
    "positive_weights": POSITIVE_WEIGHTS.tolist(),
    # Weighted cross-entropy, focal, concordance, combined (1, 0.5), the paper's equation (5), binary cross-entropy.
    "losses": [
        cross_entropy(x16[:, :8], classes).item(),
        focal(x16[:, :8], classes).item(),
        concordance_loss(predictions, values).item(),
        (concordance_loss(predictions, values) + 0.5 * errors.mean()).item(),
        (errors.sum(1).mean() - 2 * mean_ccc(predictions, values)).item(),
        binary(x16[:, :12], units).item(),
    ],
    # Population, and as the published results were measured.
    "concordance": [
        2 * np.mean((a - a.mean()) * (b - b.mean())) / spread,
        2 * np.cov(a, b)[0, 1] / (spread + 1e-12),
    ],
    "plateau": {"losses": plateau_losses, "rates": rates},
    "rate": RATE,
    "expression": step(Mlp(), cross_entropy, x16, classes, 0.01),
    "valence_arousal": step(ValenceArousal(), concordance_loss, x10, values, 0.01),
    "action_units": step(Embedding(), binary, x16, units, 0.01, "embedding."),
    "action_unit_logits": step(Logits(), binary, x8, units, 0.01, "logits."),
}
path = pathlib.Path(__file__).parent / "training.json"
path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
