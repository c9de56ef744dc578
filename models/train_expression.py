"""Trains the expression network of affectlens end to end: MobileNetV1 as `faceres` has it, one embedding, two classifiers.

    pip install torch==2.8.0 numpy pillow safetensors
    python models/train_expression.py DATA FACERES OUT --compile

DATA holds `fer2013/train.{csv,jpgs}`, `fer2013/validation.*` and `faces/labels.csv`, `faces/images.jpgs`; FACERES holds
`faceres.json` and `faceres.bin` of npm `@vladmandic/human` 3.3.6. OUT receives `state.pt` after each epoch, from which an
interrupted run goes on, `log.jsonl`, and at the end the files `expression-mobilenet.safetensors`,
`expression-pretrained.safetensors` and `expression-head.safetensors`.

The two data sets share each batch: 96 pictures of FER2013 for the classifier of seven expressions, 32 photos for the one
of six. Labels are softened by what the network itself said of the same picture in the epochs before, one batch in four is
mixed up until five epochs before the end, and rare classes weigh more: those of FER2013 from the sixth epoch on, or from the
first one where `--start` goes on from an earlier run. Smaller pictures in the first epochs save time and cost accuracy: below
96 pixels the last map is 2 x 2.

Pictures are turned grey and the first convolution sees one channel; it is written with three, weighted by the luminance
of red, green and blue, so that colour changes nothing.
"""
import argparse, csv, hashlib, io, json, math, os, time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch._inductor.config
from PIL import Image

SEVEN = ["neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise"]
SIX = ["neutral", "anger", "disgust", "happiness", "sadness", "surprise"]
FER = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]  # in the order of its label column
MEAN = np.array([123.68, 116.779, 103.939], np.float32)
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
GREY_MEAN = float(MEAN @ LUMINANCE)


def read(table, blob, side, keep):
    """Pictures `[n, 1, side, side]` and their labels; `keep` gives a row's label or None."""
    data = open(blob, "rb").read()
    pictures, labels = [], []
    for row in csv.DictReader(open(table)):
        label = keep(row)
        if label is None:
            continue
        start = int(row["offset"])
        picture = Image.open(io.BytesIO(data[start : start + int(row["length"])])).convert("L")
        if picture.size != (side, side):
            picture = picture.resize((side, side), Image.BILINEAR)
        pictures.append(np.array(picture))
        labels.append(label)
    return torch.tensor(np.stack(pictures)).unsqueeze(1), torch.tensor(labels)


def fer(data, part):
    keep = lambda row: SEVEN.index(FER[int(row["label"])])
    return read(f"{data}/fer2013/{part}.csv", f"{data}/fer2013/{part}.jpgs", 48, keep)


def faces(data, folds):
    keep = lambda row: SIX.index(row["emotion"]) if row["emotion"] in SIX and int(row["fold"]) in folds else None
    return read(f"{data}/faces/labels.csv", f"{data}/faces/images.jpgs", 112, keep)


def published(folder):
    """Kernel and bias of each step of the published graph."""
    model = json.load(open(f"{folder}/faceres.json"))
    data, place, arrays = open(f"{folder}/faceres.bin", "rb").read(), 0, {}
    for entry in model["weightsManifest"][0]["weights"]:
        count = math.prod(entry["shape"])
        kind = np.float16 if entry.get("quantization") else {"float32": np.float32, "int32": np.int32}[entry["dtype"]]
        array = np.frombuffer(data, kind, count, place)
        place += array.nbytes
        arrays[entry["name"]] = (array.astype(np.float32) if kind == np.float16 else array).reshape(entry["shape"])
    dense = lambda array: array.transpose(3, 2, 0, 1)
    first = dense(arrays["conv1/convolution/merged_input"]).sum(1, keepdims=True)
    layers = [(first, arrays["conv1_bn/batchnorm_1/sub"])]
    for block in range(1, 14):
        kernel = arrays[f"conv_dw_{block}/depthwise_kernel"].transpose(2, 3, 0, 1)
        scale = arrays[f"conv_dw_{block}_bn/batchnorm_1/mul"].reshape(-1, 1, 1, 1)
        layers.append((kernel * scale, arrays[f"conv_dw_{block}_bn/batchnorm_1/sub"]))
        kernel = dense(arrays[f"conv_pw_{block}/convolution/merged_input"])
        layers.append((kernel, arrays[f"conv_pw_{block}_bn/batchnorm_1/sub"]))
    return layers


def trained(folder):
    """Kernel and bias of each step of a network that this script has written, and its two classifiers."""
    from safetensors.numpy import load_file

    tensors = {name: array.astype(np.float32) for name, array in load_file(f"{folder}/expression-mobilenet.safetensors").items()}
    layers = [(tensors[f"{name}.weight"], tensors[f"{name}.bias"]) for name in map(step_name, range(27))]
    layers[0] = (layers[0][0].sum(1, keepdims=True), layers[0][1])
    return layers, [load_file(f"{folder}/expression-{head}.safetensors") for head in ("pretrained", "head")]


def step_name(place):
    return "conv_stem" if place == 0 else f"blocks.{(place - 1) // 2}.conv_{'dw' if place % 2 else 'pw'}"


class Step(nn.Module):
    """Convolution, batch normalisation, ReLU6; padded at the end first, as TensorFlow pads."""

    def __init__(self, kernel, bias, stride, groups=1):
        super().__init__()
        outputs, inputs, side, _ = kernel.shape
        self.convolution = nn.Conv2d(inputs * groups, outputs, side, stride, 0, groups=groups, bias=False)
        self.convolution.weight.data = torch.tensor(np.ascontiguousarray(kernel))
        self.normalisation = nn.BatchNorm2d(outputs, momentum=0.02)
        self.register_buffer("bias", torch.tensor(np.array(bias).reshape(-1).copy()), persistent=False)
        self.started = self.frozen = False

    def forward(self, x):
        if self.convolution.kernel_size[0] == 3:
            x = F.pad(x, (1, 1, 1, 1) if self.convolution.stride[0] == 1 else (0, 1, 0, 1))
        if self.convolution.groups > 1 and self.convolution.stride[0] == 2:
            # The gradient of a strided depthwise convolution is very slow on the CPU.
            x = F.conv2d(x, self.convolution.weight, groups=self.convolution.groups)[:, :, ::2, ::2]
        else:
            x = self.convolution(x)
        if self.frozen:
            return F.relu6(x + self.bias[:, None, None].to(x.dtype))
        if not self.started:
            self.start(x)
        return F.relu6(self.normalisation(x))

    @torch.no_grad()
    def start(self, x):
        """The published network has its normalisation folded: the new one starts as the identity plus the bias."""
        norm, values = self.normalisation, x.float()
        variance, mean = values.var((0, 2, 3)), values.mean((0, 2, 3))
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(self.bias + mean)
        self.started = True

    @torch.no_grad()
    def folded(self):
        if self.frozen:
            return self.convolution.weight, self.bias
        norm = self.normalisation
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        return self.convolution.weight * scale[:, None, None, None], norm.bias - norm.running_mean * scale


def autocast():
    """16 bits where the processor has tiles for them; elsewhere they are slower than 32."""
    return torch.autocast("cpu", torch.bfloat16, enabled=torch.cpu._is_amx_tile_supported())


def classifier(classes):
    return nn.Sequential(nn.Dropout(0.3), nn.Linear(1024, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, classes))


class Network(nn.Module):
    """Each step's kernel and bias; of the steps the first `frozen` stay as they are."""

    def __init__(self, layers, frozen=0):
        super().__init__()
        strides = {0: 2, 3: 2, 7: 2, 11: 2, 23: 2}
        steps = [
            Step(kernel, bias, strides.get(place, 1), len(kernel) if place % 2 else 1)
            for place, (kernel, bias) in enumerate(layers)
        ]
        for step in steps[:frozen]:
            step.frozen = step.started = True
            step.requires_grad_(False)
        self.steps = nn.Sequential(*steps)
        self.frozen = frozen
        self.pretrained, self.adapted = classifier(7), classifier(6)

    def embed(self, x):
        with torch.no_grad():
            x = self.steps[: self.frozen](x)
        return self.steps[self.frozen :](x).mean((2, 3))

    def forward(self, x):
        embedding = self.embed(x)
        return self.pretrained(embedding), self.adapted(embedding)


def augmented(x, side, blur, erased):
    """Random flip, crop, rotation, contrast, brightness, blur and erasing of a share; `x` is `[n, 1, any, any]`."""
    n = len(x)
    x = x.float()
    if blur:  # half of the sharper set is seen as small as the other
        low = F.interpolate(F.interpolate(x, (48, 48), mode="area"), x.shape[2:], mode="bilinear", align_corners=False)
        x = torch.where(torch.rand(n, 1, 1, 1) < 0.4, low, x)
    angle = (torch.rand(n) - 0.5) * 2 * math.radians(15)
    scale, flip = torch.empty(n).uniform_(0.78, 1.08), torch.where(torch.rand(n) < 0.5, -1.0, 1.0)
    stretch = torch.empty(n).uniform_(0.93, 1.07)
    move = (torch.rand(n, 2) - 0.5) * 0.2
    rows = [
        torch.stack([scale * stretch * angle.cos() * flip, -scale * angle.sin(), move[:, 0]], 1),
        torch.stack([scale * stretch * angle.sin() * flip, scale * angle.cos(), move[:, 1]], 1),
    ]
    grid = F.affine_grid(torch.stack(rows, 1), (n, 1, side, side), align_corners=False)
    x = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    contrast, brightness = torch.empty(n, 1, 1, 1).uniform_(0.7, 1.3), torch.empty(n, 1, 1, 1).uniform_(-25, 25)
    x = ((x - 128) * contrast + 128 + brightness).clamp(0, 255)
    for picture in np.flatnonzero(np.random.rand(n) < erased):
        height, width = (int(side * np.random.uniform(0.1, 0.4)) for _ in range(2))
        top, left = np.random.randint(side - height), np.random.randint(side - width)
        x[picture, :, top : top + height, left : left + width] = np.random.uniform(0, 255)
    return x - GREY_MEAN


def plain(x, side):
    return F.interpolate(x.float(), (side, side), mode="bilinear", align_corners=False) - GREY_MEAN


def rarity(labels, classes):
    counts = torch.bincount(labels, minlength=classes).float()
    return (counts.sum() / (classes * counts)).sqrt()


def weighted(logits, targets, weights):
    """Cross-entropy of softened labels, each row by the weight of its classes."""
    share = (targets * weights).sum(1)
    return -((targets * logits.log_softmax(1)).sum(1) * share).sum() / share.sum()


def macro_f1(labels, guesses, classes):
    f1 = []
    for c in range(classes):
        hit = ((guesses == c) & (labels == c)).sum().item()
        f1.append(2 * hit / max(1, ((guesses == c).sum() + (labels == c).sum()).item()))
    return float(np.mean(f1))


@torch.no_grad()
def score(net, data, head, classes, side, mirrored=False):
    net.eval()
    pictures, labels = data
    rows = []
    with autocast():
        for start in range(0, len(labels), 128):
            x = plain(pictures[start : start + 128], side).contiguous(memory_format=torch.channels_last)
            p = net(x)[head].float().softmax(1)
            if mirrored:
                p = p + net(x.flip(3))[head].float().softmax(1)
            rows.append(p)
    guesses = torch.cat(rows).argmax(1)
    net.train()
    return round((guesses == labels).float().mean().item(), 4), round(macro_f1(labels, guesses, classes), 4)


FACERES = "faceres (MIT; VGGFace2 terms are research-minded)"
FER2013 = "FER2013, which names no licence and whose image rights are unresolved"
PHOTOS = "the pictures of github.com/muxspace/facial_expressions (repository Apache-2.0, photo rights not cleared)"


def write(net, out, side):
    """The three files of affectlens, 16 bits."""
    network = {}
    for place, step in enumerate(net.steps):
        kernel, bias = step.folded()
        if place == 0:
            kernel = kernel * torch.tensor(LUMINANCE).view(1, 3, 1, 1)
        name = step_name(place)
        network[f"{name}.weight"], network[f"{name}.bias"] = kernel, bias
    digest = hashlib.sha256(b"".join(network[name].half().numpy().tobytes() for name in sorted(network))).hexdigest()
    common = {"source": "models/train_expression.py", "source_sha256": digest}
    facts = {
        "architecture": "expression-mobilenet",
        "input_side": str(side),
        "mean": json.dumps([round(float(value), 3) for value in MEAN]),
        "std": "[1.0,1.0,1.0]",
        "licence": f"not stated: trained from {FACERES} on {FER2013}, and on {PHOTOS}",
    }
    save(f"{out}/expression-mobilenet.safetensors", network, common | facts)
    for file, classifier, classes, data in (
        ("expression-pretrained", net.pretrained, SEVEN, FER2013),
        ("expression-head", net.adapted, SIX, PHOTOS),
    ):
        layers = {f"net.{place}": classifier[index] for place, index in ((0, 1), (2, 4))}
        tensors = {f"{name}.{part}": getattr(layer, part) for name, layer in layers.items() for part in ("weight", "bias")}
        facts = {
            "architecture": "mlp",
            "embedding": "expression-mobilenet",
            "classes": json.dumps(classes, separators=(",", ":")),
            "crop_margin": "0.07",
            "crop_rise": "0.09",
            "licence": f"not stated: trained on {data}, over expression-mobilenet",
        }
        save(f"{out}/{file}.safetensors", tensors, common | facts)


def save(path, tensors, metadata):
    from safetensors.torch import save_file

    save_file({name: tensor.detach().half().contiguous() for name, tensor in tensors.items()}, path, metadata)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("faceres")
    parser.add_argument("out")
    parser.add_argument("--sides", default="96x16", help="side in pixels x epochs, one after the other")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=1.2e-3)
    parser.add_argument("--ensemble", type=float, default=0.4, help="share of a label that the network's own word takes")
    parser.add_argument("--mixed", type=int, default=4, help="one batch in so many is mixed up")
    parser.add_argument("--erased", type=float, default=0.3, help="share of the pictures that are partly covered")
    parser.add_argument("--start", help="folder with the three files of an earlier run, from which this one goes on")
    parser.add_argument("--frozen", type=int, default=0, help="steps of the network that stay as they are, from its input on")
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    np.random.seed(args.seed)
    started = time.time()
    train, validation = fer(args.data, "train"), fer(args.data, "validation")
    photos, fold4 = faces(args.data, (2, 3)), faces(args.data, (4,))
    print("pictures", [len(it[1]) for it in (train, validation, photos, fold4)], f"{time.time() - started:.0f} s", flush=True)

    layers, heads = trained(args.start) if args.start else (published(args.faceres), ())
    net = Network(layers, args.frozen).to(memory_format=torch.channels_last)
    for classifier, tensors in zip((net.pretrained, net.adapted), heads):
        for place, index in ((0, 1), (2, 4)):
            for part in ("weight", "bias"):
                getattr(classifier[index], part).data = torch.tensor(tensors[f"net.{place}.{part}"].astype(np.float32))
    net.train()
    sides = [int(part.split("x")[0]) for part in args.sides.split(",") for _ in range(int(part.split("x")[1]))]
    args.epochs, args.side, first = len(sides), sides[-1], sides[0]
    with torch.no_grad():
        net(plain(torch.cat([F.interpolate(train[0][:128].float(), (112, 112), mode="bilinear"), photos[0][:128].float()]), first).contiguous(memory_format=torch.channels_last))

    many, few = 96, 32
    steps = len(train[1]) // many
    total = steps * args.epochs
    learning = [p for p in net.parameters() if p.requires_grad]
    matrices = [p for p in learning if p.ndim > 1]
    vectors = [p for p in learning if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": 0.03}, {"params": vectors, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=args.rate)
    warm = int(0.06 * total)
    rate = lambda i: max(i, 1) / warm if i < warm else 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (i - warm) / (total - warm)))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
    seven, six = (rarity(labels, classes) for labels, classes in ((train[1], 7), (photos[1], 6)))
    # What the network said of each picture, averaged over the epochs: softens labels that look wrong.
    said = [torch.zeros(len(train[1]), 7), torch.zeros(len(photos[1]), 6)]
    epoch = 0
    state_file = f"{args.out}/state.pt"
    if os.path.exists(state_file):
        state = torch.load(state_file, weights_only=False)
        net.load_state_dict(state["net"]); optimiser.load_state_dict(state["optimiser"]); schedule.load_state_dict(state["schedule"])
        said, epoch = state["said"], state["epoch"]
        torch.set_rng_state(state["rng"]); np.random.set_state(state["numpy"])
        for step in net.steps: step.started = True
        print("goes on after epoch", epoch, flush=True)
    torch._inductor.config.cpp.dynamic_threads = True
    forward = torch.compile(net, dynamic=False) if args.compile else net

    def softened(labels, classes, said, strength):
        hard = F.one_hot(labels, classes).float() * 0.92 + 0.08 / classes
        known = (said.sum(1, keepdim=True) > 0).float() * strength
        return hard * (1 - known) + said * known

    while epoch < args.epochs:
        side = sides[epoch]
        began, order, loss_sum = time.time(), torch.randperm(len(train[1])), 0.0
        strength = args.ensemble * min(1.0, max(0.0, (epoch - 2) / 4))
        for step in range(steps):
            i, k = order[step * many : (step + 1) * many], torch.randint(len(photos[1]), (few,))
            x = torch.cat([augmented(train[0][i], side, False, args.erased), augmented(photos[0][k], side, True, args.erased)])
            a, b = softened(train[1][i], 7, said[0][i], strength), softened(photos[1][k], 6, said[1][k], strength)
            mixed = step % args.mixed == args.mixed - 1 and epoch < args.epochs - 5
            if mixed:
                share = np.random.beta(0.4, 0.4)
                for part, target in ((slice(0, many), a), (slice(many, None), b)):
                    other = torch.randperm(len(target))
                    x[part] = share * x[part] + (1 - share) * x[part][other]
                    target.copy_(share * target + (1 - share) * target[other])
            with autocast():
                one, two = forward(x.contiguous(memory_format=torch.channels_last))
            one, two = one[:many].float(), two[many:].float()
            loss = weighted(one, a, seven if epoch >= 5 or args.start else torch.ones(7)) + 0.4 * weighted(two, b, six)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 2.0)
            optimiser.step()
            schedule.step()
            loss_sum += loss.item()
            with torch.no_grad():
                if not mixed:
                    for table, places, logits in ((said[0], i, one), (said[1], k, two)):
                        new, old = logits.softmax(1), table[places]
                        table[places] = torch.where(old.sum(1, keepdim=True) > 0, 0.6 * old + 0.4 * new, new)
            if step % 50 == 49:
                print(f"epoch {epoch + 1} step {step + 1} of {steps}, {time.time() - began:.0f} s, loss {loss_sum / (step + 1):.3f}", flush=True)
        epoch += 1
        line = {"epoch": epoch, "side": side, "seconds": round(time.time() - began), "loss": round(loss_sum / steps, 4)}
        last = epoch == args.epochs
        if last or side != sides[epoch] or epoch % 2 == 0:
            line["fer2013"] = score(net, validation, 0, 7, args.side)
            line["fold4"] = score(net, fold4, 1, 6, args.side)
            if last:
                for larger in (112, 128):
                    line[f"fer2013_at_{larger}"] = score(net, validation, 0, 7, larger)
                    line[f"fold4_at_{larger}"] = score(net, fold4, 1, 6, larger)
                line["fer2013_mirrored"] = score(net, validation, 0, 7, args.side, True)
            write(net, args.out, args.side)
        print(json.dumps(line), flush=True)
        open(f"{args.out}/log.jsonl", "a").write(json.dumps(line) + "\n")
        torch.save({"net": net.state_dict(), "optimiser": optimiser.state_dict(), "schedule": schedule.state_dict(), "said": said,
            "epoch": epoch, "rng": torch.get_rng_state(), "numpy": np.random.get_state()}, state_file + ".new")
        os.replace(state_file + ".new", state_file)


if __name__ == "__main__":
    main()
