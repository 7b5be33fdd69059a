"""Reads a trace as a Python user would: `python read_trace.py PATH` (arviz, xarray, zarr >= 3)."""

import json
import sys
import warnings

import arviz as az
import numpy as np
import xarray as xr


def check_samples(group, warmup):
    dataset = group.to_dataset()
    assert dataset.coords["chain"].dtype == np.int64, dataset.coords["chain"].dtype
    assert dataset.coords["draw"].dtype == np.int64, dataset.coords["draw"].dtype
    for name in ("chain", "draw"):
        np.testing.assert_array_equal(dataset.coords[name], np.arange(dataset.sizes[name]))
    for name, variable in dataset.data_vars.items():
        assert variable.dims[:2] == ("chain", "draw"), (name, variable.dims)
        chunks = variable.encoding["chunks"]
        assert chunks[1] <= 100, (name, chunks)
        # As many chains share a chunk as fit into four megabytes: a trace is not a folder of thousands of files.
        a_chain = 8 * np.prod(chunks[1:])
        assert chunks[0] == np.clip((4 << 20) // a_chain, 1, variable.shape[0]), (name, chunks)
        assert variable.dtype in (np.float64, np.bool_), (name, variable.dtype)
        for dim in variable.dims[2:]:
            labels = dataset.coords[dim].values
            assert all(isinstance(label, str) for label in labels.tolist()), (dim, labels)
    for name in ("created_at", "inference_library", "inference_library_version"):
        assert isinstance(dataset.attrs[name], str), (name, dataset.attrs)
    assert dataset.attrs["inference_library"] == "sngd"
    print(f"{group.path}: {dict(dataset.sizes)}{' (warm-up)' if warmup else ''}")
    return dataset


def main(path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trace = xr.open_datatree(path, engine="zarr", consolidated=False).load()
    for warning in caught:
        print("warning:", warning.category.__name__, str(warning.message).splitlines()[0])

    with open(f"{path}/zarr.json") as file:
        whole = "consolidated_metadata" in json.load(file)
    if whole:
        # As `xarray.open_datatree` and ArviZ open it, without a word about missing metadata.
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            again = xr.open_datatree(path, engine="zarr").load()
        said = [str(warning.message) for warning in caught]
        assert not any("consolidated metadata" in text for text in said), said
        assert again.identical(trace)
    print("consolidated metadata:", whole)

    posterior = check_samples(trace["posterior"], False)
    stats = check_samples(trace["sample_stats"], False)
    assert posterior.sizes["draw"] == stats.sizes["draw"]
    for name, variable in posterior.data_vars.items():
        assert np.isfinite(variable.values).all(), name
    if "warmup_posterior" in trace.children:
        check_samples(trace["warmup_posterior"], True)
        check_samples(trace["warmup_sample_stats"], True)
    if "log_likelihood" in trace.children:
        # Row by row, its sum over rows is the likelihood that `lp` contains besides the prior.
        terms = check_samples(trace["log_likelihood"], False)["y"]
        assert terms.dims == ("chain", "draw", "row"), terms.dims
        assert terms.sizes["draw"] == posterior.sizes["draw"]
        total = terms.sum("row")
        together = np.corrcoef(total.values.ravel(), stats["lp"].values.ravel())[0, 1]
        assert together > 0.3, together
        tree = trace if int(az.__version__.split(".")[0]) >= 1 else az.InferenceData(
            posterior=posterior, log_likelihood=trace["log_likelihood"].to_dataset()
        )
        print(az.loo(tree))
    if "diverging" in stats:
        assert stats["diverging"].dtype == np.bool_
    if "petal width" in posterior.coords.get("feature", []):
        # The trace of examples/write_demo_trace.rs, whose values are known.
        assert dict(posterior.sizes) == {"chain": 4, "draw": 250, "class": 2, "feature": 3}
        assert posterior["feature"].values.tolist() == ["petal width", "âge", "x"]
        assert posterior["class"].values.tolist() == ["setosa", "virginica"]
        assert trace["warmup_posterior"].sizes["draw"] == 70
        mean = posterior["weights"].sel({"class": "virginica", "feature": "âge"}).mean().item()
        assert abs(mean - 5) < 0.2, mean
        assert 0.8e-3 < posterior["scale"].std().item() < 1.2e-3, "the scale lost its digits"
        assert np.isnan(stats["lp"].values).any() and np.isfinite(stats["lp"].values).any()
        assert stats["diverging"].values.sum() == 4
        assert trace["observed_data"]["y"].values.tolist() == [0, 1, 1, 0]
        assert trace["constant_data"]["X"].dims == ("row", "feature")
        assert trace["constant_data"]["X"].sel(feature="x").values.tolist() == [2, 5, 8, 11]
        assert trace.attrs["run_file"] == '{"seed": 1, "run": {"chains": 4}}'

    # ArviZ before 1.0, the last for Python 3.11, takes a Dataset where later ones take the tree itself.
    old = int(az.__version__.split(".")[0]) < 1
    summary = az.summary(posterior if old else trace)
    elements = sum(v.isel(chain=0, draw=0).size for v in posterior.data_vars.values())
    assert len(summary) == elements, (len(summary), elements)
    print(summary.to_string())


if __name__ == "__main__":
    main(sys.argv[1])
