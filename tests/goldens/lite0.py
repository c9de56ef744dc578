"""Golden for the published EfficientNet-Lite0: timm's implementation with the same weights on two pictures.

    pip install torch==2.8.0 timm==1.0.20 pillow numpy
    python tests/goldens/lite0.py [CACHE]                # writes tests/goldens/lite0.json

CACHE is the folder that `cargo xtask setup` fills (default `~/.cache/affectlens`): the weights come from
`published/efficientnet-lite0`, the pictures from `media`. Neither is higher than wide, so all Pillow releases resize them alike.
"""

import json
import pathlib
import sys

import numpy as np
import timm
import torch
from PIL import Image

from backbones import lite_name

PICTURES = ["terminator_crop.jpg", "vendetta.jpg"]
LARGEST = 10


def main() -> None:
    cache = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "~/.cache/affectlens").expanduser()
    published = torch.load(cache / "published/efficientnet-lite0/efficientnet-lite0-57934424.pth", weights_only=True)
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    names = [name for name in model.state_dict() if not name.endswith("num_batches_tracked")]
    missing, unexpected = model.load_state_dict({name: published[lite_name(name)] for name in names}, strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing)
    goldens = {}
    for name in PICTURES:
        picture = Image.open(cache / "media" / name).convert("RGB")
        assert picture.width >= picture.height, picture.size
        pixels = np.asarray(picture.resize((224, 224), Image.Resampling.BILINEAR), dtype=np.float32)
        frame = torch.from_numpy((pixels - 127) / 128).permute(2, 0, 1)[None]
        with torch.no_grad():
            embedding = model.forward_head(model.forward_features(frame), pre_logits=True)[0]
            logits = model(frame)[0]
        values, classes = logits.topk(LARGEST)
        print(name, picture.size, classes.tolist(), values.tolist())
        goldens[name] = {
            "classes": classes.tolist(),
            "logits": [float(f"{v:.6g}") for v in values.tolist()],
            "embedding": [float(f"{v:.5g}") for v in embedding.tolist()],
        }
    text = json.dumps({"made_by": f"tests/goldens/lite0.py, torch {torch.__version__}, timm {timm.__version__}", "pictures": goldens})
    (pathlib.Path(__file__).parent / "lite0.json").write_text(text)


if __name__ == "__main__":
    main()
