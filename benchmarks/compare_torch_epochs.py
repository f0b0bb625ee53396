"""Head-only epochs on photos: `onnxtune tune` against the same loop in PyTorch, whole runs of each in turn.

    compare_torch_epochs.py ONNXTUNE MODEL.onnx DATA [--photos 200] [--epochs 5] [--threads 1,2] [--pairs 2]

MODEL is a ResNet for ImageNet; DATA has train/CLASS and valid/CLASS, of which the first --photos and a quarter as many are
taken.  The last three nodes are dropped for a 3x3 convolution to 2 channels, average pooling and log-softmax; the body is
frozen.  Two rows for each number of threads: no augmentation, with features kept (onnxtune's default there); and side-on
augmentation, with nothing kept.  PyTorch reads, resizes and crops the same files with Pillow, in worker processes where
there are two threads, and runs in channels_last.  With one thread either side has one core.

Prints seconds (least of the pairs), the ratio of the least, the median of the pairs' ratios, and the ratio of the
processor time that both took, which other work on the machine disturbs less.  onnxtune's time is that of the whole command, when it
has checked the photos once before; PyTorch's begins after its imports.
"""
import argparse
import json
import os
import pathlib
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time

HEAD = "conv 2 3x3 pad=1; gap; flatten; logsoftmax"


def subset(data, folder, photos):
    for split, n in (("train", photos), ("valid", photos // 4)):
        classes = sorted(p.name for p in (data / split).iterdir() if p.is_dir())
        for name in classes:
            to = folder / split / name
            to.mkdir(parents=True)
            for photo in sorted((data / split / name).iterdir())[: n // len(classes)]:
                (to / photo.name).symlink_to(photo.resolve())


# ---- PyTorch's side, in a process of its own ----


def torch_loop(args):
    import numpy as np
    import torch
    import torch.nn.functional as F
    from PIL import Image

    from mission_torch import MEAN, STD, Body, listing, side_on

    torch.set_num_threads(args.threads)
    torch.manual_seed(1)

    def read(path):
        image = Image.open(path).convert("RGB")
        w, h = image.size
        scale = 256 / min(w, h)
        return image.resize((round(w * scale), round(h * scale)), Image.BILINEAR)

    class Photos(torch.utils.data.Dataset):
        def __init__(self, samples, augment):
            self.samples, self.augment, self.rng = samples, augment, random.Random(1)

        def __len__(self):
            return len(self.samples)

        def __getitem__(self, i):
            path, label = self.samples[i]
            image = read(path)
            if self.augment:
                x = side_on(torch.tensor(np.asarray(image)).permute(2, 0, 1).float() / 255, self.rng)
            else:
                left, top = (image.width - 224) // 2, (image.height - 224) // 2
                image = image.crop((left, top, left + 224, top + 224))
                x = torch.tensor(np.asarray(image)).permute(2, 0, 1).float() / 255
            return (x - MEAN) / STD, label

    def loader(split, augment, shuffle):
        workers = 0 if args.threads == 1 else args.threads
        return torch.utils.data.DataLoader(
            Photos(listing(f"{args.data}/{split}"), augment), 64, shuffle, num_workers=workers, persistent_workers=workers > 0
        )

    body = Body(args.model, 3)
    for name, t in body.weights.items():
        if t.dim() == 4:
            body.weights[name] = t.contiguous(memory_format=torch.channels_last)
    head = torch.nn.Conv2d(512, 2, 3, padding=1)
    optimiser = torch.optim.SGD(head.parameters(), 0.01, momentum=0.9)

    def model(x):
        with torch.no_grad():
            features = body(x.contiguous(memory_format=torch.channels_last))
        return F.log_softmax(head(features).mean((2, 3)), 1)

    start = time.perf_counter()
    train, valid = loader("train", args.augment, True), loader("valid", False, False)
    for _ in range(args.epochs):
        for x, label in train:
            loss = F.nll_loss(model(x), label)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        with torch.no_grad():
            right = sum((model(x).argmax(1) == label).sum().item() for x, label in valid)
    seconds = time.perf_counter() - start
    del train, valid
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    print(json.dumps([seconds, sum(u.ru_utime + u.ru_stime for u in (own, children)), right]))


# ---- Both sides ----


def spent(command, environment, cores):
    """Seconds, and seconds of processor time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, preexec_fn=lambda: os.sched_setaffinity(0, cores)
    )
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"compare_torch_epochs.py: {' '.join(command)}\n{done.stderr}")
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def ours(args, work, threads, augment, cores):
    how = ["--augment", "side-on" if augment else "none", "--cache", "off" if augment else "auto"]
    command = [args.program, "tune", str(work / "grown.onnx"), "--data", str(work / "data"), "--freeze-to", "-4", "--lr"]
    command += ["0.01", "--epochs", str(args.epochs), "--threads", str(threads), "-o", str(work / "out.onnx"), "--quiet", *how]
    return spent(command, dict(os.environ, XDG_CACHE_HOME=str(work / "cache")), cores)[:2]


def theirs(args, work, threads, augment, cores):
    command = [sys.executable, __file__, "--side", "torch", args.program, str(args.model), str(work / "data")]
    command += ["--threads", str(threads), "--epochs", str(args.epochs)] + ["--augment"] * augment
    return json.loads(spent(command, dict(os.environ), cores)[2])[:2]


def row(args, work, threads, augment):
    cores = sorted(os.sched_getaffinity(0))[:threads]
    pairs = []
    for i in range(args.pairs):
        sides = {}
        for side in (ours, theirs) if i % 2 == 0 else (theirs, ours):
            sides[side] = side(args, work, threads, augment, cores)
        pairs.append((sides[ours], sides[theirs]))
    a, b = min(p[0][0] for p in pairs), min(p[1][0] for p in pairs)
    paired = statistics.median(p[0][0] / p[1][0] for p in pairs)
    cpu = min(p[0][1] for p in pairs) / min(p[1][1] for p in pairs)
    what = "side-on, nothing kept" if augment else "no augmentation, kept"
    print(f"{what:22} {threads:7} | {a:7.1f} | {b:7.1f} | {a / b:5.3f} | {paired:5.3f} | {cpu:5.3f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--only", choices=["none", "side-on"])
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--augment", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        args.threads = int(args.threads)
        return torch_loop(args)
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        subset(args.data, work / "data", args.photos)
        (work / "cache").mkdir()
        grown = [args.program, "surgery", str(args.model), "--cut", "-3", "--append", HEAD, "-o", str(work / "grown.onnx"), "--quiet"]
        subprocess.run(grown, check=True, stdout=subprocess.DEVNULL)
        spent([args.program, "eval", str(work / "grown.onnx"), "--data", str(work / "data"), "--quiet"],
              dict(os.environ, XDG_CACHE_HOME=str(work / "cache")), os.sched_getaffinity(0))
        print(f"{args.photos} photos train, {args.photos // 4} validate, {args.epochs} epochs")
        print("data                   threads | ours, s | theirs  | ratio | paired | processor time")
        for threads in map(int, args.threads.split(",")):
            for augment in (False, True):
                if args.only is None or (args.only == "side-on") == augment:
                    row(args, work, threads, augment)


if __name__ == "__main__":
    main()
