"""The fine-tuning recipe of docs/results.md in PyTorch, to compare accuracies with: the same model file, the same photos.

    python mission_torch.py MODEL.onnx DATA [--seeds 42,43,44] [--threads 2]

The last three nodes are dropped; a 3x3 convolution to 2 channels, average pooling and log-softmax take their place.
The body is frozen (its BatchNormalization uses running statistics).  One epoch at rate .01, then one cosine cycle of
one epoch; SGD with momentum .9, batches of 64; side-on augmentation.  Prints a line an epoch and the pooled accuracy.
"""
import argparse, glob, math, os, random
import numpy as np, onnx, torch
import torch.nn.functional as F
from onnx import numpy_helper
from PIL import Image

MEAN = torch.tensor([.485, .456, .406]).view(3, 1, 1)
STD = torch.tensor([.229, .224, .225]).view(3, 1, 1)


class Body(torch.nn.Module):
    """The graph of a ResNet without its last `cut` nodes, run node by node."""

    def __init__(self, path, cut):
        super().__init__()
        graph = onnx.load(path).graph
        self.weights = {t.name: torch.tensor(numpy_helper.to_array(t)) for t in graph.initializer}
        self.nodes = list(graph.node)[:-cut]
        self.input = graph.input[0].name

    def forward(self, x):
        values = dict(self.weights, **{self.input: x})
        for node in self.nodes:
            a = {k.name: onnx.helper.get_attribute_value(k) for k in node.attribute}
            v = [values.get(name) for name in node.input]
            if node.op_type == "Conv":
                y = F.conv2d(v[0], v[1], v[2] if len(v) > 2 else None, a["strides"], a["pads"][:2])
            elif node.op_type == "BatchNormalization":
                y = F.batch_norm(v[0], v[3], v[4], v[1], v[2], False, 0, a.get("epsilon", 1e-5))
            elif node.op_type == "Relu":
                y = F.relu(v[0])
            elif node.op_type == "Add":
                y = v[0] + v[1]
            elif node.op_type == "MaxPool":
                y = F.max_pool2d(v[0], a["kernel_shape"], a["strides"], a["pads"][:2])
            else:
                raise SystemExit(f"mission_torch.py: no {node.op_type} in a ResNet's body")
            values[node.output[0]] = y
        return y


def read(path):
    image = Image.open(path).convert("RGB")
    w, h = image.size
    scale = 256 / min(w, h)
    image = image.resize((round(w * scale), round(h * scale)), Image.BILINEAR)
    return torch.tensor(np.asarray(image)).permute(2, 0, 1).float() / 255


def centre(image, size=224):
    top, left = (image.shape[1] - size) // 2, (image.shape[2] - size) // 2
    return image[:, top:top + size, left:left + size]


def side_on(image, rng, size=224):
    """Flip, rotation by up to 10 degrees, zoom up to 1.1 with a random crop, brightness and contrast: one sampling."""
    c, h, w = image.shape
    angle = math.radians(rng.uniform(-10, 10)) if rng.random() < .75 else 0
    zoom = rng.uniform(1, 1.1) if rng.random() < .75 else 1
    flip = -1 if rng.random() < .5 else 1
    reach = min(h, w) / zoom                       # the side of the crop, in pixels of the image
    cx = w / 2 + rng.uniform(-1, 1) * (w - reach) / 2
    cy = h / 2 + rng.uniform(-1, 1) * (h - reach) / 2
    line = (torch.arange(size) + .5) / size - .5
    v, u = torch.meshgrid(line, line * flip, indexing="ij")
    x = cx + reach * (u * math.cos(angle) - v * math.sin(angle))
    y = cy + reach * (u * math.sin(angle) + v * math.cos(angle))
    grid = torch.stack([2 * x / w - 1, 2 * y / h - 1], -1)[None]
    out = F.grid_sample(image[None], grid, "bilinear", "reflection", False)[0]
    contrast, bright = 1 + rng.uniform(-.05, .05), rng.uniform(-.05, .05)
    mean = out.mean()
    return ((out - mean) * contrast + mean + bright).clamp(0, 1)


def listing(folder):
    classes = sorted(os.listdir(folder))
    return [(p, i) for i, c in enumerate(classes) for p in sorted(glob.glob(os.path.join(folder, c, "*")))]


def evaluate(model, samples, batch=64):
    right = 0
    with torch.no_grad():
        for i in range(0, len(samples), batch):
            part = samples[i:i + batch]
            x = torch.stack([(centre(read(p)) - MEAN) / STD for p, _ in part])
            right += (model(x).argmax(1) == torch.tensor([c for _, c in part])).sum().item()
    return right / len(samples)


def run(body, data, seed):
    torch.manual_seed(seed)
    rng = random.Random(seed)
    conv = torch.nn.Conv2d(512, 2, 3, padding=1)
    train, valid = listing(f"{data}/train"), listing(f"{data}/valid")
    steps = (len(train) + 63) // 64

    def model(x):
        with torch.no_grad():
            features = body(x)
        return F.log_softmax(conv(features).mean((2, 3)), 1)

    for epoch, cosine in enumerate([False, True]):
        optimiser = torch.optim.SGD(conv.parameters(), lr=.01, momentum=.9)
        order = train[:]
        rng.shuffle(order)
        for step in range(steps):
            part = order[step * 64:step * 64 + 64]
            for group in optimiser.param_groups:
                group["lr"] = .005 * (1 + math.cos(math.pi * step / steps)) if cosine else .01
            x = torch.stack([(side_on(read(p), rng) - MEAN) / STD for p, _ in part])
            loss = F.nll_loss(model(x), torch.tensor([c for _, c in part]))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        accuracy = evaluate(model, valid)
        print(f"seed {seed} epoch {epoch}: last loss {loss.item():.4f}, accuracy {accuracy:.4f}", flush=True)
    return accuracy


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--seeds", default="42,43,44")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    body = Body(args.model, 3)
    scores = [run(body, args.data, int(s)) for s in args.seeds.split(",")]
    print(f"mean {np.mean(scores):.4f} over {len(scores)} seeds, {min(scores):.4f} to {max(scores):.4f}")


if __name__ == "__main__":
    main()
