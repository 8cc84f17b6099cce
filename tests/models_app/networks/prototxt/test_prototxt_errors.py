"""prototxt.read: the texts that it refuses, the error messages, and the length at which it stops reading."""

import random
from contextlib import suppress

import pytest

from models_app.networks import BadNetwork, prototxt
from models_app.networks.layers import TYPES
from models_app.networks.prototxt.schema import MESSAGES
from models_app.networks.prototxt.text import Message, Word, parse
from tests.support.samples.network_samples import LENET, LENET_OF_CAFFE, LOSS, SCORES, inner_product, layer_text


def error_of(text, categories=4, image_shape=(3, 8, 8)):
    with pytest.raises(BadNetwork) as caught:
        prototxt.read(text, image_shape, categories)
    return str(caught.value)


def test_the_parser_reads_the_text_format_of_protocol_buffers():
    text = """
    a: 1, b: -2.5e1; c: "one " 'two\\n\\x41\\101\\303\\251'  # comment
    d { e: true } d: < e: WORD > d { }
    f: [1, 0x10, 010] g: .5f h: [{ i: 1 }]
    """
    whole = parse(text)
    found = {field.name: [one.value for one in whole.all(field.name)] for field in whole.fields}
    assert found["a"] + found["b"] + found["c"] == [1, -25.0, "one two\nAAé"]
    assert [[inner.value for inner in message.fields] for message in found["d"]] == [[Word("true")], [Word("WORD")], []]
    assert found["f"] + found["g"] == [1, 16, 8, 0.5]
    assert isinstance(found["h"][0], Message)
    assert [field.line for field in whole.fields] == [2, 2, 2, 3, 3, 3, 4, 4, 4, 4, 4]


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "the text declares no layer"),
        ("name 'x'", "line 1, column 6: expected : or { after name, found 'x'"),
        ("layer {\n  name: }", "line 2, column 9: expected a value, found }"),
        ("layer {\n  name: 'a'\n",
         "line 3, column 1: expected the name of a field, or the } for line 1, found the end of the text"),
        ("layer { name: 'a\n' }", "line 1, column 15: expected a field or a value, found 'a"),
        ("layer { name: 12a }", "line 1, column 15: expected a field or a value, found 12a }"),
        ("a: [1 2]", "line 1, column 7: expected , or ], found 2"),
        ("name: '\\q'", r"line 1, column 7: the string '\q' has an escape that is not known"),
        ("a: " + "1" * 41, "line 1, column 4: the number 1111111111111111111111111111111111111111… is too long"),
        ("name: 'x'\nlayr { }", "line 2: a network has no field layr; its layers stand in layer { … }"),
        ("layer: 3", "line 1: a layer must be a group { … }"),
        ("layer { name: 'a' }", "the layer of line 1, a, has no type"),
        ("layer { type: 'ReLU' }", "the layer of line 1 (type ReLU) has no name"),
        ("layer { name: 'a\\n' type: 'ReLU' }", "the layer of line 1: name must be at most 200 printable characters "
                                                "(line 1)"),
        ("layers { layer { name: 'a' type: 'relu' } }",
         "line 1: a layer inside `layers` is Caffe's format of 2013, which is not supported; upgrade it with Caffe's "
         "upgrade_net_proto_text"),
        ("layer { }\nlayers { }", "line 2: `layers` is the older word for `layer`; use one of the two throughout"),
    ],
)  # fmt: skip
def test_a_text_that_is_no_network_is_refused_with_the_line(text, message):
    assert error_of(text) == message


@pytest.mark.parametrize(
    "text, message",
    [
        (layer_text("a", "Python", "data", "a"), "layer a (type Python, line 2): the type is not known; known are"),
        (inner_product("a", "nowhere"),
         "layer a (type InnerProduct, line 2): its input nowhere is not the output of any layer"),
        (inner_product("a", "b") + inner_product("b", "a"),
         "layer a (type InnerProduct, line 2): its input b depends on its own output (a cycle through layer b)"),
        (inner_product("a", "data") + inner_product("a", "data"),
         "layer a (type InnerProduct, line 3): there are two layers of this name"),
        (layer_text("a", "Convolution", "data", "a", "convolution_param { num_output: 2\nkernel_size: 9 }"),
         "layer a (type Convolution, line 2): 9×9 kernel does not fit a 8×8 input"),
        (layer_text("a", "ReLU", "data", "a", "relu_param { slope: 1 }"),
         "layer a (type ReLU, line 2): ReLU has no parameter slope (line 2)"),
        (layer_text("a", "ReLU", "data", "a", "\npower_param { scale: 1 }"),
         "layer a (type ReLU, line 2): ReLU has no parameter power_param (line 3)"),
        (layer_text("a", "ReLU", "data", "a", "loss_weight: 1"),
         "layer a (type ReLU, line 2): ReLU has no parameter loss_weight (line 2)"),
        (layer_text("a", "Dropout", "data", "a", "dropout_param { dropout_ratio: .1 dropout_ratio: .2 }"),
         "layer a (type Dropout, line 2): dropout_ratio is given twice (line 2)"),
        (layer_text("a", "Dropout", "data", "a", "dropout_param { dropout_ratio: high }"),
         "layer a (type Dropout, line 2): dropout_ratio must be a number, not 'high'"),
        (layer_text("a", "Dropout", "data", "a", "dropout_param: 1"),
         "layer a (type Dropout, line 2): dropout_param must be a group { … } (line 2)"),
        (layer_text("a", "Convolution", "data", "a", "convolution_param { num_output: 2 kernel_h: 3 }"),
         "layer a (type Convolution, line 2): kernel_size must be given, or both kernel_h and kernel_w (line 2)"),
        (inner_product("a", "data", 2, "param { lr_mult: -1 }"),
         "layer a (type InnerProduct, line 2): lr_mult must be a number from 0 (line 2)"),
        (inner_product("a", "data", 2, 'param { name: "w" }') + inner_product("b", "data", 2, 'param { name: "w" }'),
         "layer b (type InnerProduct, line 3): shares its parameter w with layer a; weights can't be shared"),
        (inner_product("a", "data", 2, "propagate_down: false"),
         "layer a (type InnerProduct, line 2): propagate_down can't be false; to fix weights, set lr_mult to 0"),
        (layer_text("a", "ReLU", "data", "a", "include { phase: LATER }"),
         "layer a (type ReLU, line 2): a rule has no condition phase of this value (line 2)"),
        (layer_text("a", "ReLU", "data", "a", "include { } exclude { }"),
         "layer a (type ReLU, line 2): it has include and exclude rules; only one of the two is possible"),
        (layer_text("d", "Data", "", "data label", "transform_param { crop_h: 3 }"),
         "layer d (type Data, line 2): transform_param has an unknown field crop_h (line 2)"),
        (layer_text("d", "DummyData", "", "data label"),
         "layer d (type DummyData, line 2): the type is not known; known"),
        (layer_text("d", "Input", "", "data") + layer_text("e", "Input", "", "info"),
         "layer e (type Input, line 3): a network takes one input, its images"),
    ],
)  # fmt: skip
def test_the_error_of_an_invalid_layer_names_its_type_and_line(text, message):
    assert error_of("name: 'n'\n" + text + (SCORES + LOSS)).startswith(message)


def test_every_layer_type_has_an_entry_in_the_schema_of_caffe():
    assert set(TYPES) <= set(MESSAGES)


BRACES = "more than 100 braces are open"
LENGTH = "the text is too long for a network: it has more than 200,000 words and signs"


@pytest.mark.slow
@pytest.mark.parametrize(
    "text, message",
    [
        ("{" * 5_000_000, "line 1, column 1: expected the name of a field, found {"),
        ("layer { " * 600_000, BRACES),
        ("layer { a: [" + "{ a: [" * 600_000, BRACES),
        ("name: 'x'\n" * 500_000, LENGTH),
        ("#\n" * 2_500_000 + "?", "line 2500001, column 1: expected a field or a value, found ?"),
        ("x" * 5_000_000, "expected : or {"),
        ("name: " + "9" * 5_000_000, "is too long"),
        ('name: "' + "x" * 5_000_000, "expected a field or a value"),
        ("layer { type: 'ReLU' }\n" * 4_000, "line 3001: a network may have at most 3,000 layers"),
    ],
    ids=range(9),
)
def test_five_megabytes_of_nonsense_are_refused_at_the_first_error(text, message):
    assert message in error_of(text)


def test_damaged_text_raises_nothing_but_bad_network():
    """Words of two networks are left out, doubled, swapped or replaced; each such text is either read or refused."""
    generator = random.Random(3)
    originals = [text.replace("{", " { ").replace("}", " } ").split(" ") for text in (LENET, LENET_OF_CAFFE)]
    refused = 0
    for _ in range(1_500):
        words = list(generator.choice(originals))
        for _ in range(generator.randint(1, 4)):
            place, other = generator.randrange(len(words)), generator.randrange(len(words))
            replacements = [
                "",
                words[place] * 2,
                words[other],
                "-1",
                "1e99",
                "{",
                "'",
                '"\\',
                "type:",
                "layer",
                "99999999999",
            ]
            words[place] = generator.choice(replacements)
        with suppress(BadNetwork):
            prototxt.read(" ".join(words), (1, 28, 28), 10)
            refused -= 1
        refused += 1
    assert refused > 700
