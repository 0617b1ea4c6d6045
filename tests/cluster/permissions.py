"""Says whether the policies of a role allow a call, as IAM does for the rules that ours use."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import numpy as np

OPERATORS = {
    "StringEquals": lambda pattern, value: pattern == value,
    "StringLike": lambda pattern, value: value is not None and fnmatchcase(value, pattern),
    "StringLikeIfExists": lambda pattern, value: value is None or fnmatchcase(value, pattern),
}


@dataclass(frozen=True)
class Call:
    """An action on a resource, with the condition keys that AWS adds to it."""

    action: str
    resource: str
    context: dict[str, str] = field(default_factory=dict)


def allowed(statements, call):
    """Whether one of the statements allows a call; none of ours denies."""
    assert all(statement["Effect"] == "Allow" for statement in statements)
    return any(_covers(statement, call) for statement in statements)


def statements_of(iam, role):
    """The statements of all inline policies of a role."""
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    policies = [iam.get_role_policy(RoleName=role, PolicyName=name) for name in names]
    return [each for policy in policies for each in policy["PolicyDocument"]["Statement"]]


def _covers(statement, call):
    unknown = statement.keys() - {"Sid", "Effect", "Action", "Resource", "Condition"}
    assert not unknown, unknown
    return (
        call.action in np.atleast_1d(statement["Action"])
        and any(fnmatchcase(call.resource, each) for each in np.atleast_1d(statement["Resource"]))
        and all(
            any(OPERATORS[operator](pattern, call.context.get(key)) for pattern in _list(patterns))
            for operator, conditions in statement.get("Condition", {}).items()
            for key, patterns in conditions.items()
        )
    )


def _list(value):
    return value if isinstance(value, list) else [value]
