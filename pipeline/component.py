"""Components and nodes: the signature of `execute` is a component's whole declaration.

An instance of a component is a *node* of a pipeline: a component bound to channels and parameters. Building one checks
names and types at once and imports nothing heavy. This module knows nothing of stores, processes or Beam.
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pipeline.artifacts import Artifact
from pipeline.channel import Channel, Condition
from pipeline.errors import DefinitionError, did_you_mean

T = TypeVar("T")


class _Marker:
    """Tells inputs and outputs from parameters in an annotation."""

    def __init__(self, role: str) -> None:
        self.role = role


_INPUT, _OUTPUT = _Marker("input"), _Marker("output")

Input = Annotated[T, _INPUT]
"""`Input[Schema]`: exactly one artifact. `Input[list[Examples]]`: one or more. `Input[Schema] | None = None`: optional."""

Output = Annotated[T, _OUTPUT]
"""`Output[Model]`: an artifact that `execute` fills. `Output[PushedModel] | None`: may stay empty, with a verdict.

`Output[list[Examples]]`: one artifact for each portion of the work (`pipeline.portions`), and none where there are no portions.
"""

REQUIRED: Any = inspect.Parameter.empty


@dataclass(frozen=True)
class InputSpec:
    """One declared input."""

    name: str
    type: type[Artifact]
    optional: bool
    many: bool


@dataclass(frozen=True)
class OutputSpec:
    """One declared output; an optional one may stay empty, and so may one of many artifacts."""

    name: str
    type: type[Artifact]
    optional: bool
    many: bool = False


@dataclass(frozen=True)
class ParameterSpec:
    """One declared parameter; `default` is `REQUIRED` where there is none."""

    name: str
    annotation: Any
    default: Any


@dataclass(frozen=True)
class ComponentSpec:
    """What a component takes and makes, read from the signature of `execute`."""

    inputs: Mapping[str, InputSpec]
    outputs: Mapping[str, OutputSpec]
    parameters: Mapping[str, ParameterSpec]


@dataclass(frozen=True)
class NodeOptions:
    """How a node is run; none of it is part of what it computes.

    Attributes:
        cache: Whether an earlier result may be reused.
        beam_args: Beam arguments of this node, added to those of the pipeline.
        timeout: Seconds after which the executor is stopped; None for no limit.
        retries: How often a failed executor is started again.
        retry_delay: Seconds before the first retry; doubled for each further one.
    """

    cache: bool = True
    beam_args: tuple[str, ...] = ()
    timeout: float | None = None
    retries: int = 0
    retry_delay: float = 1.0


class Component:
    """Base of all components: write `execute`, and the rest follows from its signature.

    Example:
        class Doubler(Component):
            '''Doubles each number.'''

            def execute(self, context, numbers: Input[Numbers], doubled: Output[Numbers], *, factor: int = 2) -> None: ...

        node = Doubler(source.numbers, factor=3)   # inputs by position or name, parameters by name
        node.doubled                               # a channel; also node.outputs["doubled"]

    Class attributes that a component may set:
        driver: A `pipeline.driver.Driver` subclass, for components that decide in their own way.
        isolated: Whether `execute` runs in a process of its own; False only for what needs no heavy library.
        needs: Modules that the executor imports; the worker server imports them once, for all nodes.
        libraries: Distributions whose version shapes the result and so the cache key.
        user_code: Names of parameters that refer to user code (`"features:preprocessing_fn"` or `"model"`).
        cacheable: Whether a result may ever be reused.
    """

    driver: ClassVar[type[Any] | None] = None
    isolated: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ()
    libraries: ClassVar[tuple[str, ...]] = ()
    user_code: ClassVar[tuple[str, ...]] = ()
    cacheable: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        try:
            cls.__signature__ = _public_signature(cls)  # type: ignore[attr-defined]
        except NameError:
            return  # an annotation names something local: the signature of `Component.__init__` stays

    def __init__(
        self,
        *args: Any,
        id: str | None = None,
        cache: bool = True,
        beam_args: tuple[str, ...] | list[str] = (),
        timeout: float | None = None,
        retries: int = 0,
        retry_delay: float = 1.0,
        when: Condition | tuple[Condition, ...] = (),
        after: tuple[Component, ...] | list[Component] = (),
        **kwargs: Any,
    ) -> None:
        self.id = _checked_id(id if id is not None else type(self).__name__)
        self.options = _checked_options(self.id, NodeOptions(cache, _words(self.id, beam_args), timeout, retries, retry_delay))
        self.conditions = (when,) if isinstance(when, Condition) else tuple(when)
        self.after = tuple(after)
        spec = spec_of(type(self))
        values = _bind(self, spec, args, kwargs)
        self.inputs: dict[str, tuple[Channel, ...]] = {
            name: _channels(self, declared, values[name]) for name, declared in spec.inputs.items() if values.get(name) is not None
        }
        self.parameters: dict[str, Any] = {
            name: check_parameter(self, declared, values.get(name, declared.default)) for name, declared in spec.parameters.items()
        }
        self.outputs: dict[str, Channel] = {name: Channel(self, name, declared.type) for name, declared in spec.outputs.items()}
        self.validate()

    def __getattr__(self, name: str) -> Channel:
        outputs = self.__dict__.get("outputs", {})
        if name in outputs:
            return typing.cast(Channel, outputs[name])
        raise AttributeError(f"{type(self).__name__} has no output or attribute '{name}'.{did_you_mean(name, outputs)}")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} '{self.__dict__.get('id', '?')}'>"

    def validate(self) -> None:
        """Checks the parameters against one another; components override it and raise `DefinitionError`."""

    def newest(self, count: int = 1) -> Channel:
        """Returns the channel of the last artifacts of the node's only output, such as the newest span of a window.

        Raises:
            DefinitionError: If it has several outputs, or `count` is not 1 or more.
        """
        if len(self.outputs) != 1:
            raise DefinitionError(f"Node '{self.id}' has {len(self.outputs)} outputs: {', '.join(self.outputs)}.", hint="Name one of them.")
        return next(iter(self.outputs.values())).newest(count)

    def makes_several(self, output: str) -> bool:
        """Returns whether an output may have more than one artifact; components whose work falls into portions say more."""
        return spec_of(type(self)).outputs[output].many if output in spec_of(type(self)).outputs else False

    def execute(self, *args: Any, **kwargs: Any) -> None:
        """Does the work. Subclasses declare inputs, outputs and parameters in its signature.

        It runs on a bare instance: what it needs comes as arguments. It writes only below the paths of its outputs and of
        the context.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define execute")

    @property
    def upstream(self) -> tuple[Component, ...]:
        """The nodes that must end before this one, without repetition."""
        channels = [channel for group in self.inputs.values() for channel in group]
        nodes = [channel.node for channel in channels] + [condition.channel.node for condition in self.conditions] + list(self.after)
        return tuple(dict.fromkeys(nodes))


def component(function: Callable[..., None]) -> type[Component]:
    """Turns a function into a component class of the same name.

    Example:
        @component
        def Doubler(numbers: Input[Numbers], doubled: Output[Numbers], *, factor: int = 2) -> None:
            '''Doubles each number.'''
    """

    def execute(self: Component, context: Any, **values: Any) -> None:
        function(context, **values) if takes_context else function(**values)

    takes_context = next(iter(inspect.signature(function).parameters), None) == "context"
    namespace = {
        "execute": functools.update_wrapper(execute, function),
        "__doc__": function.__doc__,
        "__module__": function.__module__,
        "__qualname__": function.__qualname__,
    }
    return type(function.__name__, (Component,), namespace)


def spec_of(kind: type[Component]) -> ComponentSpec:
    """Returns the specification of a component class.

    Raises:
        DefinitionError: If an annotation is missing or is neither an input, an output nor a parameter.
    """
    known = _specs.get(kind)
    if known is None:
        known = _specs[kind] = _read_spec(kind)
    return known


_specs: weakref.WeakKeyDictionary[type[Component], ComponentSpec] = weakref.WeakKeyDictionary()


def _read_spec(kind: type[Component]) -> ComponentSpec:
    function = inspect.unwrap(kind.execute)
    hints = typing.get_type_hints(function, include_extras=True)
    signature = inspect.signature(function).parameters
    inputs: dict[str, InputSpec] = {}
    outputs: dict[str, OutputSpec] = {}
    parameters: dict[str, ParameterSpec] = {}
    for name, declared in signature.items():
        if name in ("self", "context") or declared.kind in (declared.VAR_POSITIONAL, declared.VAR_KEYWORD):
            continue
        if name not in hints:
            raise DefinitionError(f"{kind.__name__}.execute: '{name}' has no annotation. Expected Input[...], Output[...] or a type.")
        artifact, role, optional, many = _read_annotation(hints[name])
        if role is _INPUT:
            inputs[name] = InputSpec(name, artifact, optional, many)
        elif role is _OUTPUT:
            outputs[name] = OutputSpec(name, artifact, optional or many, many)
        else:
            parameters[name] = ParameterSpec(name, hints[name], declared.default)
    return ComponentSpec(inputs, outputs, parameters)


def _read_annotation(hint: Any) -> tuple[Any, _Marker | None, bool, bool]:
    """Returns artifact type, role, whether optional, whether many, of an annotation of `execute`."""
    optional = False
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        members = [member for member in typing.get_args(hint) if member is not types.NoneType]
        if len(members) == 1:
            hint, optional = members[0], True
    marker = next((extra for extra in getattr(hint, "__metadata__", ()) if isinstance(extra, _Marker)), None)
    if marker is None:
        return None, None, False, False
    inner = typing.get_args(hint)[0]
    many = typing.get_origin(inner) is list
    inner = typing.get_args(inner)[0] if many else inner
    if not (isinstance(inner, type) and issubclass(inner, Artifact)):
        raise DefinitionError(f"Expected an artifact type in {marker.role.capitalize()}[...]. Received: {inner!r}")
    return inner, marker, optional, many


def _public_signature(kind: type[Component]) -> inspect.Signature:
    """The signature that `help()` and editors show for the class: inputs by position, parameters by name."""
    spec = spec_of(kind)
    shown = []
    for parameter in inspect.signature(inspect.unwrap(kind.execute)).parameters.values():
        if parameter.name in spec.inputs:
            shown.append(parameter.replace(kind=parameter.POSITIONAL_OR_KEYWORD))
        elif parameter.name in spec.parameters:
            shown.append(parameter.replace(kind=parameter.KEYWORD_ONLY))
    return inspect.Signature(sorted(shown, key=lambda item: (item.kind, item.kind < item.KEYWORD_ONLY and item.default is not item.empty)))


def _checked_id(id: str) -> str:
    if not id or not all(letter.isalnum() or letter in "_-" for letter in id):
        raise DefinitionError(f"A node's id may hold letters, digits, '_' and '-'. Received: id={id!r}")
    return id


def _words(id: str, beam_args: Any) -> tuple[str, ...]:
    if isinstance(beam_args, str) or not all(isinstance(word, str) for word in beam_args):
        raise DefinitionError(f"Node '{id}': beam_args expects a list of texts. Received: {beam_args!r}")
    return tuple(beam_args)


def _checked_options(id: str, options: NodeOptions) -> NodeOptions:
    if options.timeout is not None and not options.timeout > 0:
        raise DefinitionError(f"Node '{id}': timeout expects seconds greater than 0, or None. Received: {options.timeout!r}")
    if options.retries < 0 or options.retry_delay < 0:
        raise DefinitionError(
            f"Node '{id}': retries and retry_delay expect 0 or more. "
            f"Received: retries={options.retries!r}, retry_delay={options.retry_delay!r}"
        )
    return options


def _bind(node: Component, spec: ComponentSpec, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Binds positional inputs and named values, and names what is missing or unknown."""
    if len(args) > len(spec.inputs):
        raise DefinitionError(
            f"Node '{node.id}' takes {len(spec.inputs)} inputs ({', '.join(spec.inputs) or 'none'}). Received: {len(args)}."
        )
    values = dict(zip(spec.inputs, args, strict=False))
    for name, value in kwargs.items():
        if name in values:
            raise DefinitionError(f"Node '{node.id}': input '{name}' is given twice, by position and by name.")
        if name not in spec.inputs and name not in spec.parameters:
            raise DefinitionError(
                f"Node '{node.id}' ({type(node).__name__}) has no input or parameter '{name}'."
                f"{did_you_mean(name, [*spec.inputs, *spec.parameters])}"
            )
        values[name] = value
    for name, declared in spec.inputs.items():
        if values.get(name) is None and not declared.optional:
            raise DefinitionError(f"Node '{node.id}' ({type(node).__name__}) needs the input '{name}': {declared.type.TYPE_NAME}.")
    for name, parameter in spec.parameters.items():
        if parameter.default is REQUIRED and name not in values:
            raise DefinitionError(
                f"Node '{node.id}' ({type(node).__name__}) needs the parameter '{name}': {describe_type(parameter.annotation)}."
            )
    return values


def _channels(node: Component, declared: InputSpec, value: Any) -> tuple[Channel, ...]:
    """Returns the channels of one input; a node stands for its only output of the wanted type."""
    given = value if isinstance(value, list | tuple) else (value,)
    if len(given) != 1 and not declared.many:
        raise DefinitionError(
            f"Node '{node.id}': input '{declared.name}' takes one {declared.type.TYPE_NAME}. Received: {len(given)} channels."
        )
    return tuple(_channel(node, declared, item) for item in given)


def _channel(node: Component, declared: InputSpec, value: Any) -> Channel:
    wanted = f"Node '{node.id}': input '{declared.name}' expects {declared.type.TYPE_NAME}."
    if isinstance(value, Component):
        fitting = [channel for channel in value.outputs.values() if issubclass(channel.type, declared.type)]
        if len(fitting) > 1 and not declared.many:
            fitting = [channel for channel in fitting if not channel.has_several]
        if len(fitting) == 1:
            return _checked_number(node, declared, fitting[0])
        made = ", ".join(f"{channel.name}: {channel.type.TYPE_NAME}" for channel in value.outputs.values())
        raise DefinitionError(f"{wanted} Received: node '{value.id}', which makes {made or 'nothing'}.", hint="Name one of its outputs.")
    if not isinstance(value, Channel):
        raise DefinitionError(f"{wanted} Received: {value!r} of type {type(value).__name__}.")
    # A Resolver's output says only "some artifact"; its real type is known when it is resolved.
    if not issubclass(value.type, declared.type) and value.type is not Artifact:
        raise DefinitionError(f"{wanted} Received: '{value}', which is {value.type.TYPE_NAME}.")
    return _checked_number(node, declared, value)


def _checked_number(node: Component, declared: InputSpec, channel: Channel) -> Channel:
    if channel.has_several and not declared.many:
        raise DefinitionError(
            f"Node '{node.id}': input '{declared.name}' takes one {declared.type.TYPE_NAME}. Received: '{channel}', which has several.",
            hint=f"Take the last one: {channel.name}.newest()",
        )
    return channel


def describe_type(annotation: Any) -> str:
    """Returns an annotation as its author wrote it."""
    return (
        annotation.__name__ if isinstance(annotation, type) and not typing.get_args(annotation) else str(annotation).replace("typing.", "")
    )


def check_parameter(node: Component, declared: ParameterSpec, value: Any) -> Any:
    """Returns the value of a parameter, lists as tuples where tuples are declared.

    Raises:
        DefinitionError: If it has another type than declared.
    """
    if value is declared.default or type(value) is declared.annotation:
        return value
    if isinstance(value, list) and "tuple" in str(declared.annotation):
        value = tuple(value)
    if isinstance(value, int) and not isinstance(value, bool) and declared.annotation in (float, float | None):
        value = float(value)
    import typeguard  # 60 ms, and most values take the short way above

    try:
        typeguard.check_type(value, declared.annotation, collection_check_strategy=typeguard.CollectionCheckStrategy.ALL_ITEMS)
    except typeguard.TypeCheckError as error:
        raise DefinitionError(
            f"Node '{node.id}': parameter '{declared.name}' expects {describe_type(declared.annotation)}. "
            f"Received: {value!r} of type {type(value).__name__}."
        ) from error
    return value


def resolve_path(base: Path, path: str | Path) -> Path:
    """Returns a path of a definition: relative ones are relative to the project's folder."""
    return (base / Path(path).expanduser()).resolve() if not Path(path).is_absolute() else Path(path)
