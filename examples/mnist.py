"""Pools MNIST for `sngd`: python examples/mnist.py FOLDER OUT.npz

FOLDER holds the four gzipped idx files. Writes X, float32 [70000, 196], means of 2 x 2 pixels in [0, 1], and y, uint8 [70000]; the
60,000 training images come first. Needs numpy.
"""

import gzip
import pathlib
import sys

import numpy as np


def read(path, offset):
    return np.frombuffer(gzip.open(path).read(), np.uint8, offset=offset)


def main(folder, out):
    folder = pathlib.Path(folder)
    images, labels = [], []
    for part in ("train", "t10k"):
        images.append(read(folder / f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 14, 2, 14, 2))
        labels.append(read(folder / f"{part}-labels-idx1-ubyte.gz", 8))
    pooled = np.concatenate(images).mean(axis=(2, 4)) / 255.0
    np.savez_compressed(out, X=pooled.reshape(-1, 196).astype(np.float32), y=np.concatenate(labels))


if __name__ == "__main__":
    main(*sys.argv[1:])
