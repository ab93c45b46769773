"""Fast layers against those of diffusers: outputs and gradients, weights and files."""

import copy

import pytest
import torch
from diffusers import UNet2DConditionModel, UNet2DModel
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn

from diffusion.fast_layers import FAST, FastAttention, _Interleave, convolutions_in, speed_up
from tests.harness.rounding import GradientTerms, assert_same_sums, gamma, terms_in

ORDERS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
BF16 = 3e-2  # relative error allowed, of 8 bits through several layers
PIXELS = 3 * 5 * 7  # positions of all inputs
UNET_PIXELS = 3 * 8 * 8


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def seeded(build):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = build()
        for parameter in layer.parameters():  # biases and scales of new layers are 0 and 1
            nn.init.normal_(parameter, std=0.3)
        return layer


def attention(**settings) -> Attention:
    return Attention(16, heads=settings.pop("heads", 2), dim_head=8, **settings)


LAYERS = {
    "3x3": (lambda: nn.Conv2d(16, 8, 3, padding=1), ()),
    "1x1": (lambda: nn.Conv2d(16, 8, 1), ()),
    "1x1 without bias": (lambda: nn.Conv2d(16, 8, 1, bias=False), ()),
    "stride 2": (lambda: nn.Conv2d(16, 8, 3, stride=2, padding=1), ()),
    "1x1, stride 2": (lambda: nn.Conv2d(16, 8, 1, stride=2), ()),
    "groups": (lambda: nn.Conv2d(16, 8, 1, groups=4), ()),
    "resnet": (lambda: ResnetBlock2D(in_channels=16, temb_channels=6, groups=4), ((3, 6),)),
    "resnet with shortcut": (
        lambda: ResnetBlock2D(in_channels=16, out_channels=8, temb_channels=6, groups=4),
        ((3, 6),),
    ),
    "resnet, halved": (
        lambda: ResnetBlock2D(in_channels=16, temb_channels=6, groups=4, output_scale_factor=2.0),
        ((3, 6),),
    ),
    "upsampling": (lambda: Upsample2D(16, use_conv=True, out_channels=8), ()),
    "upsampling without bias": (lambda: Upsample2D(16, use_conv=True, bias=False), ()),
    "upsampling alone": (lambda: Upsample2D(16), ()),
    "pixels attending": (
        lambda: attention(bias=True, norm_num_groups=4, residual_connection=True),
        (),
    ),
    "pixels attending, halved": (lambda: attention(heads=8, rescale_output_factor=2.0), ()),
    "transformer": (
        lambda: Transformer2DModel(2, 8, 16, norm_num_groups=4, cross_attention_dim=6),
        ((3, 5, 6),),
    ),
    "transformer with linear projections": (
        lambda: Transformer2DModel(
            2, 8, 16, norm_num_groups=4, cross_attention_dim=6, use_linear_projection=True
        ),
        ((3, 5, 6),),
    ),
}


def call(layer: nn.Module, *inputs: Tensor) -> Tensor:
    output = layer(*inputs)
    return output if isinstance(output, Tensor) else output.sample


def with_gradients(layer: nn.Module, inputs: list[Tensor]) -> list[Tensor]:
    """The output, and the gradients of a fixed linear function of it by inputs and parameters."""
    inputs = [x.clone().requires_grad_() for x in inputs]
    output = call(layer, *inputs)
    direction = drawn(*output.shape, seed=9).to(output.dtype)
    leaves = [*inputs, *layer.parameters()]
    return [output, *torch.autograd.grad(output, leaves, direction, allow_unused=True)]


def flat(gradients: list[Tensor]) -> Tensor:
    return torch.cat([g.float().flatten() for g in gradients if g is not None])


def magnitudes(layer: nn.Module, inputs: list[Tensor]) -> list[Tensor | None]:
    """What the numbers of `with_gradients` are sums of: of gradients by parameters the absolute
    terms (a bias of keys has gradient 0, and its terms have not), of others what they come to."""
    exact = copy.deepcopy(layer).double()
    terms = GradientTerms(exact)
    found = with_gradients(exact, [x.double() for x in inputs])
    ours = len(inputs) + 1
    pairs = zip(exact.parameters(), found[ours:], strict=True)
    return [*found[:ours], *(None if g is None else terms.of(p) for p, g in pairs)]


def assert_rounded(
    ours: list[Tensor], theirs: list[Tensor], sizes: list[Tensor | None], terms: int
) -> None:
    """Each within what rounding does to sums of these sizes, norm against norm."""
    for a, b, size in zip(ours, theirs, sizes, strict=True):
        assert (a is None) == (b is None)
        if b is not None:
            assert a.dtype == b.dtype
            bound = 2 * gamma(terms, b.dtype) * size.norm()
            assert (a - b).norm() <= bound, f"off by {(a - b).norm():.3g}, allowed {bound:.3g}"


def assert_near(ours: list[Tensor], theirs: list[Tensor], relative: float) -> None:
    for a, b in zip(ours, theirs, strict=True):
        assert (a - b).norm() <= relative * b.norm(), (a - b).norm() / b.norm()


def both(name: str, dtype: torch.dtype) -> tuple[nn.Module, nn.Module, list[Tensor]]:
    """The stock layer, the fast one with the same weights, and inputs of odd shape."""
    build, shapes = LAYERS[name]
    stock = seeded(build).to(dtype)
    fast = copy.deepcopy(stock)
    speed_up(fast)
    inputs = [drawn(3, 16, 5, 7), *(drawn(*shape, seed=1) for shape in shapes)]
    return stock, fast, [x.to(dtype) for x in inputs]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", LAYERS)
def test_a_fast_layer_is_the_same_function_with_the_same_gradients(name, dtype, order):
    stock, fast, inputs = both(name, dtype)
    inputs[0] = inputs[0].contiguous(memory_format=ORDERS[order])
    theirs, sizes = with_gradients(stock, inputs), magnitudes(stock, inputs)
    assert_rounded(with_gradients(fast, inputs), theirs, sizes, terms_in(stock, PIXELS))


@pytest.mark.parametrize("name", LAYERS)
def test_a_percent_off_is_no_rounding(name):
    """In any of the numbers but the gradient by a bias of keys, which is 0."""
    stock, _, inputs = both(name, torch.float32)
    theirs, sizes = with_gradients(stock, inputs), magnitudes(stock, inputs)
    found = 0
    for i, right in enumerate(theirs):
        wrong = [*theirs[:i], right * 1.01, *theirs[i + 1 :]]
        try:
            assert_rounded(wrong, theirs, sizes, terms_in(stock, PIXELS))
        except AssertionError:
            found += 1
    keys_with_bias = [
        m for m in stock.modules() if isinstance(m, Attention) and m.to_k.bias is not None
    ]
    assert found == len(theirs) - len(keys_with_bias)


@pytest.mark.parametrize("name", LAYERS)
def test_in_bf16_a_fast_layer_is_near_the_float32_one(name):
    stock, fast, inputs = both(name, torch.float32)
    exact = with_gradients(stock, inputs)
    with convolutions_in(torch.bfloat16):
        rounded = with_gradients(fast, inputs)
    assert_near(rounded[:1], exact[:1], BF16)
    assert_near([flat(rounded[1:])], [flat(exact[1:])], BF16)


@pytest.mark.parametrize("name", LAYERS)
def test_what_can_be_faster_is(name):
    _, fast, _ = both(name, torch.float32)
    swapped = [m for m in fast.modules() if isinstance(m, FAST)]
    attending = [m for m in fast.modules() if isinstance(m, Attention)]
    assert all(isinstance(m.processor, FastAttention) for m in attending)
    assert swapped or attending or name == "upsampling alone"


def test_images_stay_channels_last_from_layer_to_layer():
    for name in ("3x3", "1x1", "resnet with shortcut", "upsampling", "transformer"):
        _, fast, inputs = both(name, torch.float32)
        assert call(fast, *inputs).is_contiguous(memory_format=torch.channels_last), name


def test_corners_are_interleaved_with_the_right_gradient():
    y = drawn(2, 12, 4, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(_Interleave.apply, y)
    expected = torch.empty(2, 3, 6, 4).double()
    for a in (0, 1):
        for b in (0, 1):
            part = y[:, 3 * (2 * a + b) :][:, :3]
            expected[:, :, a::2, b::2] = part[:, :, a : a + 3, b : b + 2]
    assert torch.equal(_Interleave.apply(y), expected)


def test_masked_tokens_are_not_seen():
    layer = seeded(lambda: attention(cross_attention_dim=6))
    fast = copy.deepcopy(layer)
    speed_up(fast)
    x, context = drawn(3, 4, 16), drawn(3, 5, 6, seed=1)
    mask = torch.zeros(3, 1, 5)
    mask[:, :, 3:] = -10000.0
    terms = terms_in(layer, positions=3 * 5)
    assert_same_sums(fast(x, context, mask), layer(x, context, mask), terms)
    assert_same_sums(fast(x, context, mask), fast(x, context[:, :3]), terms)


def conditional(**settings) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(16, 24),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        norm_num_groups=8,
        attention_head_dim=8,
        cross_attention_dim=6,
        class_embed_type="projection",
        projection_class_embeddings_input_dim=6,
        in_channels=3,
        out_channels=3,
        **settings,
    )


def unconditional(**settings) -> UNet2DModel:
    return UNet2DModel(
        sample_size=8,
        block_out_channels=(16, 24),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=8,
        attention_head_dim=8,
        class_embed_type="identity",
        **settings,
    )


class Fixed(nn.Module):
    """A U-Net of the image alone, all else held fixed."""

    def __init__(self, unet: nn.Module):
        super().__init__()
        self.unet = unet

    def forward(self, x: Tensor) -> Tensor:
        t = torch.tensor([3, 500, 999])
        if isinstance(self.unet, UNet2DModel):
            return self.unet(x, t, class_labels=drawn(3, 64, seed=1).to(x.dtype)).sample
        mask = torch.ones(3, 5, dtype=torch.bool)
        mask[0, 2:] = False
        return self.unet(
            x,
            t,
            encoder_hidden_states=drawn(3, 5, 6, seed=1).to(x.dtype),
            encoder_attention_mask=mask,
            class_labels=drawn(3, 6, seed=2).to(x.dtype),
        ).sample


UNETS = {"conditional": conditional, "unconditional": unconditional}


def two_unets(name: str, **settings) -> tuple[Fixed, Fixed, list[Tensor]]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        stock = Fixed(UNETS[name](**settings))
    fast = copy.deepcopy(stock)
    speed_up(fast.unet)
    return stock, fast, [drawn(3, 3, 8, 8)]


@pytest.mark.parametrize("name", UNETS)
def test_a_whole_unet_is_the_same_function_with_the_same_gradients(name):
    stock, fast, inputs = two_unets(name)
    theirs, sizes = with_gradients(stock, inputs), magnitudes(stock, inputs)
    assert_rounded(with_gradients(fast, inputs), theirs, sizes, terms_in(stock, UNET_PIXELS))


@pytest.mark.parametrize("name", UNETS)
def test_a_whole_unet_in_bf16_is_near_the_float32_one(name):
    stock, fast, inputs = two_unets(name)
    exact = with_gradients(stock, inputs)
    with convolutions_in(torch.bfloat16):
        rounded = with_gradients(fast, inputs)
    assert_near(rounded[:1], exact[:1], BF16)
    assert_near([flat(rounded[2:])], [flat(exact[2:])], BF16)


@pytest.mark.parametrize("name", UNETS)
def test_weights_go_from_fast_to_stock_and_back_through_files(name, tmp_path):
    stock, fast, inputs = two_unets(name)
    assert list(fast.state_dict()) == list(stock.state_dict())
    with torch.no_grad():
        for parameter in fast.parameters():
            parameter.mul_(1.1)
    fast.unet.save_pretrained(tmp_path)
    loaded = Fixed(type(stock.unet).from_pretrained(tmp_path))
    assert not any(isinstance(module, FAST) for module in loaded.modules())
    assert all(map(torch.equal, loaded.state_dict().values(), fast.state_dict().values()))
    with torch.no_grad():
        assert_same_sums(fast(*inputs), loaded(*inputs), terms_in(stock, UNET_PIXELS))
    speed_up(loaded.unet)
    with torch.no_grad():
        assert torch.equal(loaded(*inputs), copy.deepcopy(fast)(*inputs))


def test_sped_up_twice_is_sped_up_once():
    _, fast, inputs = two_unets("unconditional")
    before = fast(*inputs)
    speed_up(fast)
    assert torch.equal(fast(*inputs), before)


def test_dropout_stays():
    _, fast, inputs = two_unets("unconditional", dropout=0.5)
    with torch.random.fork_rng():
        assert not torch.equal(fast.train()(*inputs), fast(*inputs))
    assert torch.equal(fast.eval()(*inputs), fast(*inputs))


def watched(unet: Fixed, x: Tensor) -> list[tuple[str, Tensor]]:
    """Names and outputs of all layers without parts, in the order in which they are called."""
    seen: list[tuple[str, Tensor]] = []
    for name, module in unet.named_modules():
        if not [*module.children()]:
            module.register_forward_hook(
                lambda m, i, output, name=name: seen.append((name, output))
            )
    with torch.no_grad():
        unet(x)
    return seen


@pytest.mark.parametrize("name", UNETS)
def test_hooks_see_what_they_see_of_the_stock_network(name):
    """Every leaf once it is called, and what it gave still as it gave it after the whole pass."""
    stock, fast, inputs = two_unets(name)
    theirs, ours = watched(stock, *inputs), watched(fast, *inputs)
    assert [leaf for leaf, _ in ours] == [leaf for leaf, _ in theirs]
    assert [y.shape for _, y in ours] == [y.shape for _, y in theirs]
    for (_, a), (_, b) in zip(ours, theirs, strict=True):
        assert_same_sums(a, b, terms_in(stock, UNET_PIXELS))


@pytest.mark.parametrize("name", UNETS)
def test_one_hook_in_the_middle_changes_what_it_returns(name):
    """Of every layer whose weights alone a fast layer would have used, one after another."""
    stock, fast, inputs = two_unets(name)
    parts = [n for n, _ in fast.named_modules() if n.endswith((".to_q", ".to_k", "0.conv"))]
    assert any(part.endswith("upsamplers.0.conv") for part in parts)
    with torch.no_grad():
        before = fast(*inputs)
        for part in parts:
            outputs = []
            for unet in (stock, fast):
                hook = unet.get_submodule(part).register_forward_hook(lambda m, i, y: 1.5 * y)
                outputs.append(unet(*inputs))
                hook.remove()
            assert_same_sums(*outputs[::-1], terms_in(stock, UNET_PIXELS))
        assert torch.equal(fast(*inputs), before)


class Adapted(nn.Linear):
    """As low-rank adapters: more than its weight says."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + x.sum(dim=-1, keepdim=True)


class AdaptedConv(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + x.mean(dim=1, keepdim=True)


@pytest.mark.parametrize("name", UNETS)
def test_exchanged_parts_are_called(name):
    stock, fast, inputs = two_unets(name)
    for unet in (stock, fast):
        for part, module in unet.named_modules():
            if part.endswith((".to_v", ".to_k")):
                module.__class__ = Adapted
            if part.endswith("upsamplers.0.conv"):
                module.__class__ = AdaptedConv
    with torch.no_grad():
        assert_same_sums(fast(*inputs), stock(*inputs), terms_in(stock, UNET_PIXELS))
