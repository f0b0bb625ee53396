"""Small relatives of well-known picture classifiers for exports.py: every structural element is there, depth and width are cut
down until a file takes a few hundred kB.  Weights and running statistics are random, from a seed.

NETS maps a name to (constructor, whether height and width may vary, side of the picture, step of the side).
"""
import torch
import torch.nn.functional as F
from torch import nn


def conv_bn(i, o, k=1, stride=1, groups=1, act=None):
    layers = [nn.Conv2d(i, o, k, stride, k // 2, groups=groups, bias=False), nn.BatchNorm2d(o)]
    return nn.Sequential(*layers, *([act()] if act else []))


class SqueezeExcite(nn.Module):
    def __init__(self, channels, inner, act, gate):
        super().__init__()
        self.pool, self.down, self.up = nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, inner, 1), nn.Conv2d(inner, channels, 1)
        self.act, self.gate = act(), gate()

    def forward(self, x):
        return x * self.gate(self.up(self.act(self.down(self.pool(x)))))


class InvertedResidual(nn.Module):
    """Expand, depthwise, squeeze-excite, project; `keep` below 1 adds stochastic depth, which inference does not see."""

    def __init__(self, i, o, expand, k, stride, act, se=None, keep=1.0):
        super().__init__()
        inner = i * expand
        layers = [conv_bn(i, inner, 1, act=act)] if expand != 1 else []
        layers += [conv_bn(inner, inner, k, stride, groups=inner, act=act)]
        layers += [se(inner)] if se else []
        self.body, self.residual, self.keep = nn.Sequential(*layers, conv_bn(inner, o)), stride == 1 and i == o, keep

    def forward(self, x):
        y = self.body(x)
        if not self.residual:
            return y
        if self.training and self.keep < 1:
            y = y * torch.empty(x.shape[0], 1, 1, 1, device=x.device).bernoulli_(self.keep) / self.keep
        return x + y


class MobileNetV3(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        se = lambda c: SqueezeExcite(c, 8, nn.ReLU, nn.Hardsigmoid)
        self.features = nn.Sequential(
            conv_bn(3, 16, 3, 2, act=nn.Hardswish), InvertedResidual(16, 16, 1, 3, 2, nn.ReLU, se),
            InvertedResidual(16, 24, 4, 3, 2, nn.ReLU), InvertedResidual(24, 24, 3, 3, 1, nn.ReLU),
            InvertedResidual(24, 40, 4, 5, 2, nn.Hardswish, se), InvertedResidual(40, 40, 4, 5, 1, nn.Hardswish, se),
            conv_bn(40, 96, act=nn.Hardswish))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Linear(96, 64), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(64, classes))

    def forward(self, x):
        return self.classifier(torch.flatten(self.pool(self.features(x)), 1))


class EfficientNet(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        se = lambda c: SqueezeExcite(c, 8, nn.SiLU, nn.Sigmoid)
        self.features = nn.Sequential(
            conv_bn(3, 16, 3, 2, act=nn.SiLU), InvertedResidual(16, 16, 1, 3, 1, nn.SiLU, se),
            InvertedResidual(16, 24, 6, 3, 2, nn.SiLU, se), InvertedResidual(24, 24, 6, 3, 1, nn.SiLU, se, .9),
            InvertedResidual(24, 32, 6, 5, 2, nn.SiLU, se), InvertedResidual(32, 32, 6, 5, 1, nn.SiLU, se, .8),
            conv_bn(32, 96, act=nn.SiLU))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(96, classes))

    def forward(self, x):
        return self.classifier(torch.flatten(self.pool(self.features(x)), 1))


class LayerNorm2d(nn.LayerNorm):
    def forward(self, x):
        x = x.permute(0, 2, 3, 1)
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(c, c, 7, padding=3, groups=c), nn.LayerNorm(c, eps=1e-6)
        self.up, self.act, self.down = nn.Linear(c, 4 * c), nn.GELU(), nn.Linear(4 * c, c)
        self.scale = nn.Parameter(torch.full((c, 1, 1), .5))

    def forward(self, x):
        y = self.norm(self.conv(x).permute(0, 2, 3, 1))
        return x + self.scale * self.down(self.act(self.up(y))).permute(0, 3, 1, 2)


class ConvNeXt(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 24, 4, 4), LayerNorm2d(24, eps=1e-6))
        self.stage1 = nn.Sequential(ConvNeXtBlock(24), ConvNeXtBlock(24))
        self.down = nn.Sequential(LayerNorm2d(24, eps=1e-6), nn.Conv2d(24, 48, 2, 2))
        self.stage2 = nn.Sequential(ConvNeXtBlock(48), ConvNeXtBlock(48))
        self.head = nn.Sequential(LayerNorm2d(48, eps=1e-6), nn.Flatten(1), nn.Linear(48, classes))

    def forward(self, x):
        x = self.stage2(self.down(self.stage1(self.stem(x))))
        return self.head(F.adaptive_avg_pool2d(x, 1))


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        n, t, c = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.out(y.transpose(1, 2).reshape(n, t, c))


class Encoder(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.attention, self.norm2 = nn.LayerNorm(width, eps=1e-6), Attention(width, heads), nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(.1), nn.Linear(2 * width, width))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    """`flexible`: positions are interpolated to the picture's size, as the ones do that take any."""

    def __init__(self, classes=10, side=64, patch=8, width=48, flexible=False):
        super().__init__()
        self.grid, self.flexible = side // patch, flexible
        self.patch = nn.Conv2d(3, width, patch, patch)
        self.token = nn.Parameter(torch.randn(1, 1, width) * .1)
        self.position = nn.Parameter(torch.randn(1, self.grid**2 + 1, width) * .1)
        self.blocks = nn.Sequential(*[Encoder(width, 4) for _ in range(3)])
        self.norm, self.head = nn.LayerNorm(width, eps=1e-6), nn.Linear(width, classes)

    def positions(self, h, w):
        if not self.flexible:
            return self.position
        grid = self.position[:, 1:].reshape(1, self.grid, self.grid, -1).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, size=(h, w), mode="bilinear", align_corners=False)
        return torch.cat([self.position[:, :1], grid.flatten(2).transpose(1, 2)], 1)

    def forward(self, x):
        x = self.patch(x)
        h, w = x.shape[2], x.shape[3]
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.positions(h, w)
        return self.head(self.norm(self.blocks(x))[:, 0])


class WindowAttention(nn.Module):
    def __init__(self, width, heads, window):
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.table = nn.Parameter(torch.randn((2 * window - 1)**2, heads) * .5)
        at = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")).flatten(1)
        d = (at[:, :, None] - at[:, None, :]) + window - 1
        self.register_buffer("index", (d[0] * (2 * window - 1) + d[1]).flatten())

    def forward(self, x, mask):
        n, t, c = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        a = (q * (c // self.heads)**-.5) @ k.transpose(-2, -1)
        a = a + self.table[self.index].view(t, t, self.heads).permute(2, 0, 1).unsqueeze(0)
        if mask is not None:
            w = mask.shape[0]
            a = (a.view(n // w, w, self.heads, t, t) + mask[None, :, None]).view(n, self.heads, t, t)
        return self.out((a.softmax(-1) @ v).transpose(1, 2).reshape(n, t, c))


class SwinBlock(nn.Module):
    def __init__(self, width, heads, window, shift):
        super().__init__()
        self.window, self.shift = window, shift
        self.norm1, self.attention = nn.LayerNorm(width), WindowAttention(width, heads, window)
        self.norm2, self.mlp = nn.LayerNorm(width), nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(),
                                                                  nn.Linear(2 * width, width))

    def split(self, x):
        n, h, w, c = x.shape
        k = self.window
        return x.view(n, h // k, k, w // k, k, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, k * k, c)

    def mask(self, x):
        """Patches that the cyclic shift brought together from opposite edges do not see each other."""
        _, h, w, _ = x.shape
        k, s = self.window, self.shift
        region = x.new_zeros(1, h, w, 1)
        for i, rows in enumerate((slice(0, -k), slice(-k, -s), slice(-s, None))):
            for j, columns in enumerate((slice(0, -k), slice(-k, -s), slice(-s, None))):
                region[:, rows, columns] = i * 3 + j
        region = self.split(region).squeeze(-1)
        differ = region.unsqueeze(1) - region.unsqueeze(2)
        return differ.masked_fill(differ != 0, -100.0).masked_fill(differ == 0, 0.0)

    def forward(self, x):
        n, h, w, c = x.shape
        k, s = self.window, self.shift
        y = self.norm1(x)
        y = torch.roll(y, (-s, -s), (1, 2)) if s else y
        y = self.attention(self.split(y), self.mask(x) if s else None)
        y = y.view(n, h // k, w // k, k, k, c).permute(0, 1, 3, 2, 4, 5).reshape(n, h, w, c)
        x = x + (torch.roll(y, (s, s), (1, 2)) if s else y)
        return x + self.mlp(self.norm2(x))


class PatchMerging(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm, self.reduce = nn.LayerNorm(4 * width), nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x):
        x = torch.cat([x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)], -1)
        return self.reduce(self.norm(x))


class Swin(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.patch, self.norm0 = nn.Conv2d(3, 24, 4, 4), nn.LayerNorm(24)
        self.stage1 = nn.Sequential(SwinBlock(24, 2, 4, 0), SwinBlock(24, 2, 4, 2))
        self.merge = PatchMerging(24)
        self.stage2 = nn.Sequential(SwinBlock(48, 4, 4, 0), SwinBlock(48, 4, 4, 2))
        self.norm, self.head = nn.LayerNorm(48), nn.Linear(48, classes)

    def forward(self, x):
        x = self.norm0(self.patch(x).permute(0, 2, 3, 1))
        x = self.norm(self.stage2(self.merge(self.stage1(x))))
        return self.head(x.permute(0, 3, 1, 2).mean((2, 3)))


class RegNetBlock(nn.Module):
    def __init__(self, i, o, stride, group):
        super().__init__()
        self.body = nn.Sequential(conv_bn(i, o, act=nn.ReLU), conv_bn(o, o, 3, stride, o // group, nn.ReLU),
                                  SqueezeExcite(o, 8, nn.ReLU, nn.Sigmoid), conv_bn(o, o))
        self.skip = conv_bn(i, o, 1, stride) if stride != 1 or i != o else nn.Identity()

    def forward(self, x):
        return F.relu(self.skip(x) + self.body(x))


class RegNet(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.features = nn.Sequential(conv_bn(3, 16, 3, 2, act=nn.ReLU), RegNetBlock(16, 24, 2, 8), RegNetBlock(24, 24, 1, 8),
                                      RegNetBlock(24, 56, 2, 8), RegNetBlock(56, 56, 1, 8))
        self.pool, self.fc = nn.AdaptiveAvgPool2d((1, 1)), nn.Linear(56, classes)

    def forward(self, x):
        return self.fc(self.pool(self.features(x)).flatten(start_dim=1))


class ShuffleBlock(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        half, into = o // 2, i if stride == 2 else i // 2
        self.stride = stride
        self.left = nn.Sequential(conv_bn(i, i, 3, 2, i), conv_bn(i, half, act=nn.ReLU)) if stride == 2 else nn.Identity()
        self.right = nn.Sequential(conv_bn(into, half, act=nn.ReLU), conv_bn(half, half, 3, stride, half),
                                   conv_bn(half, half, act=nn.ReLU))

    def forward(self, x):
        a, b = (x, x) if self.stride == 2 else x.chunk(2, dim=1)
        x = torch.cat((self.left(a), self.right(b)), dim=1)
        n, c, h, w = x.size()
        return torch.transpose(x.view(n, 2, c // 2, h, w), 1, 2).contiguous().view(n, c, h, w)


class ShuffleNet(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.stem = nn.Sequential(conv_bn(3, 16, 3, 2, act=nn.ReLU), nn.MaxPool2d(3, 2, 1))
        self.stages = nn.Sequential(ShuffleBlock(16, 32, 2), ShuffleBlock(32, 32, 1), ShuffleBlock(32, 64, 2),
                                    ShuffleBlock(64, 64, 1))
        self.last, self.fc = conv_bn(64, 96, act=nn.ReLU), nn.Linear(96, classes)

    def forward(self, x):
        return self.fc(self.last(self.stages(self.stem(x))).mean([2, 3]))


class DenseLayer(nn.Module):
    def __init__(self, i, growth):
        super().__init__()
        self.body = nn.Sequential(nn.BatchNorm2d(i), nn.ReLU(), nn.Conv2d(i, 4 * growth, 1, bias=False),
                                  nn.BatchNorm2d(4 * growth), nn.ReLU(),
                                  nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False))

    def forward(self, features):
        return self.body(torch.cat(features, 1))


class DenseBlock(nn.ModuleList):
    def forward(self, x):
        features = [x]
        for layer in self:
            features.append(layer(features))
        return torch.cat(features, 1)


class DenseNet(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.stem = nn.Sequential(conv_bn(3, 16, 7, 2, act=nn.ReLU), nn.MaxPool2d(3, 2, 1))
        self.block1 = DenseBlock([DenseLayer(16 + 8 * i, 8) for i in range(3)])
        self.transition = nn.Sequential(nn.BatchNorm2d(40), nn.ReLU(), nn.Conv2d(40, 20, 1, bias=False), nn.AvgPool2d(2, 2))
        self.block2 = DenseBlock([DenseLayer(20 + 8 * i, 8) for i in range(3)])
        self.norm, self.fc = nn.BatchNorm2d(44), nn.Linear(44, classes)

    def forward(self, x):
        x = F.relu(self.norm(self.block2(self.transition(self.block1(self.stem(x))))), inplace=True)
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))


NETS = {
    "mobilenetv3": (MobileNetV3, True, 64, 16),
    "efficientnet": (EfficientNet, True, 64, 16),
    "convnext": (ConvNeXt, True, 64, 16),
    "vit": (ViT, False, 64, 8),
    "vit-flexible": (lambda: ViT(flexible=True), True, 64, 8),
    "swin": (Swin, True, 64, 32),
    "regnet": (RegNet, True, 64, 16),
    "shufflenet": (ShuffleNet, True, 64, 16),
    "densenet": (DenseNet, True, 64, 16),
}


def make(name, seed=1):
    """The net in evaluation mode, with weights and running statistics from the seed."""
    torch.manual_seed(seed)
    net = NETS[name][0]()
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):  # so that what is seen of a picture reaches the end
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, (nn.BatchNorm2d, nn.LayerNorm)):
            nn.init.uniform_(module.weight, .5, 1.5)
            nn.init.normal_(module.bias, 0, .1)
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, .1)
            module.running_var.uniform_(.5, 1.5)
    return net.eval()
