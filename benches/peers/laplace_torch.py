"""The Laplace approximation by laplace-torch on the run of a trace of ours: the same network, prior, rows and held-out rows.

    target/laplace/bin/python benches/peers/laplace_torch.py TRACE DATA.npz [--epochs 400]

TRACE is a `sngd` trace of a softmax perceptron with held-out rows; DATA the table it was fitted to (X, y). Prints one JSON line for each
predictor: the MAP network, Laplace with a Kronecker-factored Hessian over all weights, and over the last layer alone with a full Hessian, each
under the run's own prior and with the prior precision that laplace-torch tunes by the marginal likelihood.
"""

import argparse
import json
import re
import time

import numpy as np
import torch
import zarr
from laplace import Laplace
from torch import nn


def prior_sd(text, fan_in):
    kind, numbers = re.fullmatch(r"\s*(\w+)\((.*)\)\s*", text).groups()
    numbers = [float(v) for v in numbers.split(",")]
    if kind == "normal_fan_in":
        return numbers[0] / fan_in**0.5
    if kind == "normal":
        return numbers[1]
    raise SystemExit(f"prior {text}: only normal priors have a Laplace approximation here")


def scores(p, y):
    """As `sngd::Scores`: log score, accuracy, Brier score, calibration error over 15 bins of the top probability."""
    rows = np.arange(len(y))
    top = p.argmax(1)
    hit = (top == y).astype(float)
    own = p[rows, y]
    brier = (p**2).sum(1) - 2 * own + 1
    confidence = p[rows, top]
    bins = np.minimum((confidence * 15).astype(int), 14)
    error = sum(abs(confidence[bins == b].sum() - hit[bins == b].sum()) for b in range(15)) / len(y)
    return {
        "log_score": float(np.log(own).mean()),
        "accuracy": float(hit.mean()),
        "brier": float(brier.mean()),
        "calibration_error": float(error),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("trace")
    parser.add_argument("data")
    parser.add_argument("--epochs", type=int, default=400)
    args = parser.parse_args()
    torch.manual_seed(1)
    root = zarr.open_group(args.trace, mode="r")
    run = json.loads(root.attrs["run_file"])
    held = np.asarray(root["constant_data/held_out"]).astype(int)
    table = np.load(args.data)
    x, y = table["X"].astype(np.float32), table["y"].astype(np.int64)
    if run["data"].get("standardize"):
        raise SystemExit("data.standardize is not followed here")
    keep = np.setdiff1d(np.arange(len(y)), held)
    train, test = (torch.tensor(x[keep]), torch.tensor(y[keep])), (torch.tensor(x[held]), y[held])

    widths = [x.shape[1], *run["model"]["hidden"], int(y.max()) + 1]
    activation = {"tanh": nn.Tanh, "relu": nn.ReLU, "gelu": nn.GELU}[run["model"].get("activation", "tanh")]
    layers, precision = [], []
    for i, (a, b) in enumerate(zip(widths, widths[1:])):
        layers += [nn.Linear(a, b)] + ([activation()] if i + 2 < len(widths) else [])
        for part, name in (("weights", f"layer{i}_weights"), ("bias", f"layer{i}_bias")):
            text = run["prior"].get(name, run["prior"].get(part, "normal(0, 1)"))
            precision.append(prior_sd(text, a) ** -2)
    net = nn.Sequential(*layers)
    precision = torch.tensor(precision)

    n = len(keep)
    optimiser = torch.optim.Adam(net.parameters(), lr=5e-3)
    steps = args.epochs * max(n // 256, 1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=steps)
    begun = time.perf_counter()
    for _ in range(steps):
        rows = torch.randint(n, (min(256, n),))
        loss = nn.functional.cross_entropy(net(train[0][rows]), train[1][rows])
        loss = loss + sum(t * (w**2).sum() for t, w in zip(precision, net.parameters())) / (2 * n)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    trained = time.perf_counter() - begun

    def score(name, p, seconds):
        print(json.dumps({"predictor": name, **scores(np.asarray(p, dtype=float), test[1]), "seconds": round(seconds, 1)}), flush=True)

    with torch.no_grad():
        score("MAP", torch.softmax(net(test[0]), 1), trained)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*train), batch_size=500)
    for name, weights, structure, own in (
        ("Laplace, all weights, Kronecker", "all", "kron", precision),
        ("Laplace, last layer, full", "last_layer", "full", precision[-2:]),
    ):
        for tuned in (False, True):
            begun = time.perf_counter()
            if structure == "full":
                last = list(net.parameters())[-2:]
                own = torch.cat([torch.full((w.numel(),), float(t)) for t, w in zip(precision[-2:], last)])
            la = Laplace(net, "classification", subset_of_weights=weights, hessian_structure=structure, prior_precision=own)
            la.fit(loader)
            if tuned:
                la.optimize_prior_precision(method="marglik")
            with torch.no_grad():
                p = torch.cat([la(part, pred_type="glm", link_approx="mc", n_samples=200) for part in test[0].split(500)])
            p = p / p.sum(1, keepdim=True)
            score(name + (", prior tuned" if tuned else ""), p, trained + time.perf_counter() - begun)


if __name__ == "__main__":
    main()
