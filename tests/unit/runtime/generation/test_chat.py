"""Chat templates as transformers renders them, and what they may not do."""

import pytest
from transformers import PreTrainedTokenizerFast

from maas.errors import BundleError, InputError
from maas.runtime.generation.chat import ChatTemplate
from maas.runtime.generation.chat_prompt import ChatPrompt

MESSAGES = [
    {"role": "system", "content": "You are terse."},
    {"role": "user", "content": "Say <b>&\n 你好"},
    {"role": "assistant", "content": "no"},
    {"role": "user", "content": "Why?"},
]
TEMPLATES = {
    "plain": "{% for m in messages %}[{{ m.role }}] {{ m['content'] }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}",
    "loop controls and json": "{% for m in messages %}\n  {% if loop.index > 2 %}{% break %}{% endif %}\n"
    "  {{ m | tojson }}\n{% endfor %}{{ bos_token }}",
    "indented json": "{{ messages | tojson(indent=2) }}",
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_prompt_equals_that_of_transformers_when_messages_are_rendered(tiny_llama, name):
    special = {"bos_token": "<|start|>", "eos_token": "<|end|>"}
    reference = PreTrainedTokenizerFast(tokenizer_object=tiny_llama.tokenizer(), **special)
    reference.chat_template = TEMPLATES[name]
    expected = reference.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True)
    assert ChatTemplate(TEMPLATES[name], special).render(ChatPrompt.of(MESSAGES)) == expected


def test_messages_are_refused_when_the_template_raises():
    template = ChatTemplate("{{ raise_exception('roles must alternate') }}", {})
    with pytest.raises(InputError, match=r"chat template refuses these messages: roles must alternate\.$"):
        template.render(ChatPrompt.of(MESSAGES))


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].missing.deeper }}",
        "{% for i in range(10**9) %}{% endfor %}",
    ],
)
def test_messages_are_refused_when_the_template_leaves_its_sandbox(source):
    with pytest.raises(InputError, match="chat template refuses these messages"):
        ChatTemplate(source, {}).render(ChatPrompt.of(MESSAGES))


@pytest.mark.parametrize("messages", [["hello"], [{"role": "user"}], [{"content": "x"}], [{"role": 1, "content": "x"}]])
def test_message_is_named_when_it_lacks_role_or_content(messages):
    with pytest.raises(InputError, match="Message 0 lacks role or content"):
        ChatPrompt.of(messages)


def test_template_is_refused_when_it_cannot_be_read():
    with pytest.raises(BundleError, match="The chat template cannot be read"):
        ChatTemplate("{% for %}", {})


def test_time_is_given_when_a_template_asks_for_it():
    assert ChatTemplate("{{ strftime_now('%Y') }}", {}).render(ChatPrompt.of(MESSAGES)).isdecimal()


def test_tools_are_rendered_as_transformers_does_when_the_template_takes_them(tiny_llama):
    source = (
        "{% if tools %}{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}{% endif %}{{ messages[0].content }}"
    )
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    reference = PreTrainedTokenizerFast(tokenizer_object=tiny_llama.tokenizer())
    reference.chat_template = source
    template = ChatTemplate(source, {})
    assert template.reads_tools
    assert not ChatTemplate("{{ messages }}", {}).reads_tools
    for given in (tools, None):
        expected = reference.apply_chat_template(MESSAGES, tools=given, tokenize=False)
        assert template.render(ChatPrompt(MESSAGES, given or ())) == expected
