"""The shipped cluster.yaml on a mock of EC2: its machines, their open ports and their roles."""

from pathlib import Path

import numpy as np
import pytest
import yaml

boto3 = pytest.importorskip("boto3", reason="needs boto3")
moto = pytest.importorskip("moto", reason="needs moto")

ROOT = Path(__file__).parents[2]
CLUSTER, ROLES = ROOT / "cluster.yaml", ROOT / "docs" / "aws_roles.yaml"
REGION = "us-west-2"
SSH = 22


@pytest.fixture
def ec2(monkeypatch, tmp_path):
    """An empty mock account, whose credentials are worth nothing elsewhere."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "mock")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
    monkeypatch.setenv("HOME", str(tmp_path))  # Ray keeps the key that it makes there
    (tmp_path / ".ssh").mkdir()
    for cached in ("_private.aws.utils", "_private.aws.config", "_private.aws.node_provider"):
        __import__(f"ray.autoscaler.{cached}")
    monkeypatch.setattr("ray.autoscaler._private.aws.config.time.sleep", lambda seconds: None)
    with moto.mock_aws():
        yield boto3.client("ec2", REGION)


def bootstrapped(ec2, text=None):
    """Return the shipped file as `ray up` completes it, with the lines marked SET filled in."""
    from ray.autoscaler._private.commands import _bootstrap_config
    from ray.autoscaler._private.util import prepare_config

    made_roles()
    image = ec2.describe_images()["Images"][0]["ImageId"]
    config = yaml.safe_load(text or CLUSTER.read_text())
    for kind in config["available_node_types"].values():
        kind["node_config"]["ImageId"] = image
    return _bootstrap_config(prepare_config(config), no_config_cache=True)


def made_roles():
    """Create the shipped roles and profiles, as `aws cloudformation deploy` does."""
    boto3.client("cloudformation", REGION).create_stack(
        StackName="darec-roles",
        TemplateBody=ROLES.read_text(),
        Parameters=[{"ParameterKey": "Bucket", "ParameterValue": "ours"}],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )


def allowed(iam, role):
    """Return the actions that a role allows, by resource."""
    found = {}
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for each in document["Statement"]:
            assert each["Effect"] == "Allow"
            found[each["Resource"]] = set(np.atleast_1d(each["Action"]))
    return found


def instances(ec2):
    found = ec2.describe_instances()["Reservations"]
    return [instance for reservation in found for instance in reservation["Instances"]]


def started(ec2, config):
    """Start a head and a worker; return Ray's node provider, and the instances by their type."""
    from ray.autoscaler._private.providers import _get_node_provider
    from ray.autoscaler.tags import TAG_RAY_NODE_KIND, TAG_RAY_USER_NODE_TYPE

    provider = _get_node_provider(config["provider"], config["cluster_name"], use_cache=False)
    kinds = {"head": config["head_node_type"], "worker": "gpu_spot"}
    for kind, name in kinds.items():
        node_config = config["available_node_types"][name]["node_config"]
        provider.create_node(
            node_config, {TAG_RAY_NODE_KIND: kind, TAG_RAY_USER_NODE_TYPE: name}, 1
        )
    return provider, {instance["InstanceType"]: instance for instance in instances(ec2)}


def test_the_shipped_file_starts_two_machines_opens_only_ssh_and_stops_both(ec2):
    provider, by_type = started(ec2, bootstrapped(ec2))
    assert set(by_type) == {"m5.large", "g4dn.xlarge"}
    assert by_type["g4dn.xlarge"]["InstanceLifecycle"] == "spot"
    assert "InstanceLifecycle" not in by_type["m5.large"]

    opened = []
    for instance in by_type.values():
        for group in instance["SecurityGroups"]:
            (rules,) = ec2.describe_security_groups(GroupIds=[group["GroupId"]])["SecurityGroups"]
            world = "IpRanges", "Ipv6Ranges"
            opened += [
                rule for rule in rules["IpPermissions"] if any(rule.get(name) for name in world)
            ]
    assert opened and all(rule["FromPort"] == rule["ToPort"] == SSH for rule in opened), opened

    provider.terminate_nodes(provider.non_terminated_nodes({}))
    assert {instance["State"]["Name"] for instance in instances(ec2)} == {"terminated"}


def test_cloudformation_accepts_the_template_of_the_roles():
    lint = pytest.importorskip(
        "cfnlint.api", reason="needs cfn-lint, which comes with moto's server"
    )
    assert lint.lint_file(ROLES) == []


def test_the_shipped_roles_allow_one_bucket_and_the_head_may_pass_the_workers_role(ec2):
    config, iam = bootstrapped(ec2), boto3.client("iam", REGION)
    roles = {}
    for kind, node_type in config["available_node_types"].items():
        name = node_type["node_config"]["IamInstanceProfile"]["Name"]
        (role,) = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Roles"]
        roles[kind] = role
    files = {f"s3:{verb}Object" for verb in ("Get", "Put", "Delete")} | {"s3:AbortMultipartUpload"}
    bucket = {"arn:aws:s3:::ours": {"s3:ListBucket"}, "arn:aws:s3:::ours/*": files}
    worker, head = roles["gpu_spot"], roles["head"]
    assert allowed(iam, worker["RoleName"]) == bucket
    assert allowed(iam, head["RoleName"]) == {**bucket, worker["Arn"]: {"iam:PassRole"}}
    policy = iam.get_role_policy(RoleName=head["RoleName"], PolicyName="start-workers")
    (passing,) = policy["PolicyDocument"]["Statement"]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
    # The mock forgets the managed policies of a stack's roles, so the template itself is read.
    managed = yaml.safe_load(ROLES.read_text())["Resources"]["HeadRole"]["Properties"]
    assert "AmazonEC2FullAccess" in str(managed["ManagedPolicyArns"])


def test_on_demand_is_one_line_away(ec2):
    text = CLUSTER.read_text()
    (line,) = [row for row in text.splitlines() if "MarketType: spot" in row]
    _, by_type = started(ec2, bootstrapped(ec2, text.replace(f"{line}\n", "")))
    assert "InstanceLifecycle" not in by_type["g4dn.xlarge"]
