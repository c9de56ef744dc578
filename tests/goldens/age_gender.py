"""Goldens for the groups of an evaluation: age and gender by the published `faceres`, through PyTorch.

    pip install torch==2.8.0 numpy==2.4.6
    python tests/goldens/age_gender.py FOLDER     # FOLDER holds faceres.json and .bin of npm @vladmandic/human 3.3.6

Prints, for three made-up pictures, the years as the network's author reads them (HSE_FaceRec_tf: the two likeliest ones,
weighted, from 1) and the gender score. The test beside crates/data/src/evaluation/age_gender.rs has the numbers.
"""

import json
import math
import sys

import numpy as np
import torch
from torch.nn import functional as F

folder = sys.argv[1]
torch.set_num_threads(1)
data, place, arrays = open(f"{folder}/faceres.bin", "rb").read(), 0, {}
for entry in json.load(open(f"{folder}/faceres.json"))["weightsManifest"][0]["weights"]:
    kind = np.float16 if entry.get("quantization") else np.dtype(entry["dtype"])
    array = np.frombuffer(data, kind, math.prod(entry["shape"]), place)
    place += array.nbytes
    arrays[entry["name"]] = torch.from_numpy(array.astype(np.float32)).reshape(entry["shape"])

x = torch.empty(3, 3, 224, 224)
rows, columns = torch.meshgrid(torch.arange(224), torch.arange(224), indexing="ij")
for picture in range(3):
    for channel in range(3):
        level = (rows * (picture + 1) + columns * (channel + 2)) % 256
        mean = [123.68, 116.779, 103.939][channel]
        x[picture, channel] = level - mean


def convolve(x, kernel, bias, stride=1, groups=1):
    if kernel.shape[-1] == 3:
        x = F.pad(x, (1, 1, 1, 1) if stride == 1 else (0, 1, 0, 1))
    return F.relu6(F.conv2d(x, kernel, arrays[bias].flatten(), stride, groups=groups))


dense = lambda name: arrays[f"{name}/convolution/merged_input"].permute(3, 2, 0, 1)
x = convolve(x, dense("conv1"), "conv1_bn/batchnorm_1/sub", 2)
for block in range(1, 14):
    kernel = arrays[f"conv_dw_{block}/depthwise_kernel"].permute(2, 3, 0, 1)
    kernel = kernel * arrays[f"conv_dw_{block}_bn/batchnorm_1/mul"].reshape(-1, 1, 1, 1)
    stride = 2 if block in (2, 4, 6, 12) else 1
    x = convolve(x, kernel, f"conv_dw_{block}_bn/batchnorm_1/sub", stride, len(kernel))
    x = convolve(x, dense(f"conv_pw_{block}"), f"conv_pw_{block}_bn/batchnorm_1/sub")
features = torch.relu(x.mean((2, 3)) @ arrays["feats/kernel"] + arrays["feats/bias"])
gender = torch.sigmoid(features @ arrays["gender_pred/kernel"] + arrays["gender_pred/bias"])
ages = torch.softmax(features @ arrays["age_pred/kernel"] + arrays["age_pred/bias"], 1)
likeliest = ages.topk(2, 1)
years = 1 + (likeliest.values * likeliest.indices).sum(1) / likeliest.values.sum(1)
print([[round(a, 4), round(g, 6)] for a, g in zip(years.tolist(), gender[:, 0].tolist())])
