"""The only import of MXNet: it needs a name that NumPy has dropped, and its threads counted beforehand."""

import logging
import os

import numpy

from digits_project.cores import usable_cores

logger = logging.getLogger(__name__)

if "OMP_NUM_THREADS" not in os.environ:
    # Left alone, MXNet takes half the cores and trains at half the speed.
    os.environ["OMP_NUM_THREADS"] = str(usable_cores())
    logger.warning("OMP_NUM_THREADS was not set; taking %s", os.environ["OMP_NUM_THREADS"])

# oneDNN's fused operators keep the weights that they first ran with: validation would never see a weight change.
os.environ["MXNET_SUBGRAPH_BACKEND"] = "NONE"

if "bool" not in vars(numpy):
    numpy.bool = numpy.bool_  # MXNet 1.9.1 looks it up while it is imported

import mxnet as mx  # noqa: E402

__all__ = ["mx"]
