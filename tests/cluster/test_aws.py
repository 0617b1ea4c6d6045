"""The shipped cluster.yaml on a mock of EC2: its machines, their open ports and their roles."""

from pathlib import Path

import pytest
import yaml

from tests.cluster.permissions import Call, allowed, statements_of

boto3 = pytest.importorskip("boto3", reason="needs boto3")
moto = pytest.importorskip("moto", reason="needs moto")

ROOT = Path(__file__).parents[2]
CLUSTER, ROLES = ROOT / "cluster.yaml", ROOT / "docs" / "aws_roles.yaml"
REGION = "us-west-2"
SSH = 22
EC2 = f"arn:aws:ec2:{REGION}:123456789012"
CLUSTER_TAG = "aws:ResourceTag/ray-cluster-name"
PASSED = {"iam:PassedToService": "ec2.amazonaws.com"}


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
    config = bootstrapped(ec2)
    provider, by_type = started(ec2, config)
    assert set(by_type) == {"m5.large", "g4dn.xlarge"}
    assert by_type["g4dn.xlarge"]["InstanceLifecycle"] == "spot"
    assert "InstanceLifecycle" not in by_type["m5.large"]
    for kind in config["available_node_types"].values():
        (disk,) = kind["node_config"]["BlockDeviceMappings"]
        assert disk["Ebs"]["VolumeSize"] >= 100  # GB: image, CUDA libraries, spills

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


def test_the_head_may_do_to_its_own_machines_what_ray_does_and_nothing_to_others(ec2, monkeypatch):
    config = bootstrapped(ec2)
    rules = rules_of(config, "head")
    (other,) = ec2.run_instances(
        ImageId=ec2.describe_images()["Images"][0]["ImageId"], MinCount=1, MaxCount=1
    )["Instances"]
    asked = recorded(monkeypatch)
    provider, by_type = started(ec2, config)
    worker = by_type["g4dn.xlarge"]
    provider.non_terminated_nodes({})
    provider.set_node_tags(worker["InstanceId"], {"ray-node-status": "up-to-date"})
    calls = [call for operation, given in list(asked) for call in calls_of(ec2, operation, given)]
    asked.clear()
    provider.terminate_nodes([worker["InstanceId"]])
    calls += [call for operation, given in list(asked) for call in calls_of(ec2, operation, given)]
    used = {"DescribeInstances", "RunInstances", "CreateTags", "TerminateInstances"}
    assert {call.action for call in calls} == {f"ec2:{name}" for name in used}
    assert [call for call in calls if not allowed(rules, call)] == []

    machine, own = f"{EC2}:instance/{other['InstanceId']}", {CLUSTER_TAG: "darec"}
    forbidden = [
        *(Call(f"ec2:{verb}Instances", machine) for verb in ("Terminate", "Stop", "Start")),
        Call("ec2:TerminateInstances", machine, {CLUSTER_TAG: "theirs"}),
        Call("ec2:CreateTags", machine, {"aws:RequestTag/ray-cluster-name": "darec"}),
        *(
            Call(f"ec2:{verb}", machine, own)
            for verb in ("ModifyInstanceAttribute", "AssociateIamInstanceProfile", "DeleteTags")
        ),
        Call("ec2:RunInstances", f"{EC2}:instance/*"),
        Call("ec2:AuthorizeSecurityGroupIngress", f"{EC2}:security-group/sg-1", own),
        Call("iam:PassRole", "arn:aws:iam::123456789012:role/admin", PASSED),
    ]
    assert [call for call in forbidden if allowed(rules, call)] == []


def test_the_head_hands_workers_their_role_and_has_no_managed_policy(ec2):
    config, iam = bootstrapped(ec2), boto3.client("iam", REGION)
    worker = iam.get_role(RoleName="darec-worker")["Role"]["Arn"]
    passing = Call("iam:PassRole", worker, PASSED)
    assert allowed(rules_of(config, "head"), passing)
    assert not allowed(rules_of(config, "gpu_spot"), passing)
    resources = yaml.safe_load(ROLES.read_text())["Resources"].values()
    assert all("ManagedPolicyArns" not in each["Properties"] for each in resources)


@pytest.mark.parametrize("kind", ["head", "gpu_spot"])
def test_machines_reach_one_folder_of_one_bucket_and_delete_no_versions(ec2, kind):
    rules, ours = rules_of(bootstrapped(ec2), kind), "arn:aws:s3:::ours"
    may = [
        *(
            Call(f"s3:{verb}Object", f"{ours}/{key}")
            for verb in ("Get", "Put", "Delete")
            for key in ("results", "results/", "results/a/b.json")
        ),
        Call("s3:ListBucket", ours),  # does the bucket exist?
        *(Call("s3:ListBucket", ours, {"s3:prefix": each}) for each in ("results/", "results/a/")),
    ]
    may_not = [
        Call("s3:GetObject", f"{ours}/salaries.csv"),
        Call("s3:GetObject", f"{ours}/results-of-others/a"),
        Call("s3:GetObject", "arn:aws:s3:::theirs/results/a"),
        Call("s3:ListBucket", ours, {"s3:prefix": "salaries/"}),
        Call("s3:DeleteObjectVersion", f"{ours}/results/a"),
        Call("s3:PutBucketVersioning", ours),
    ]
    assert [call for call in may if not allowed(rules, call)] == []
    assert [call for call in may_not if allowed(rules, call)] == []


def rules_of(config, kind):
    """The statements of the role that a kind of machine has."""
    iam = boto3.client("iam", REGION)
    name = config["available_node_types"][kind]["node_config"]["IamInstanceProfile"]["Name"]
    (role,) = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Roles"]
    return statements_of(iam, role["RoleName"])


def recorded(monkeypatch):
    """A list that fills with the calls that Ray makes, as operation and arguments."""
    from botocore.client import BaseClient

    asked, call = [], BaseClient._make_api_call

    def noted(client, operation, given):
        asked.append((operation, given))
        return call(client, operation, given)

    monkeypatch.setattr(BaseClient, "_make_api_call", noted)
    return asked


def calls_of(ec2, operation, given):
    """Yield what IAM is asked about one call of EC2's interface."""
    action = f"ec2:{operation}"
    if operation.startswith("Describe"):
        yield Call(action, "*")
    elif operation == "RunInstances":
        (tagged,) = given["TagSpecifications"]
        assert tagged["ResourceType"] == "instance"
        tags = {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in tagged["Tags"]}
        yield Call(action, f"{EC2}:instance/*", tags)
        yield Call("ec2:CreateTags", f"{EC2}:instance/*", {"ec2:CreateAction": operation, **tags})
        for used in ("key-pair", "network-interface", "security-group", "subnet", "volume"):
            yield Call(action, f"{EC2}:{used}/any")
        yield Call(action, f"arn:aws:ec2:{REGION}::image/{given['ImageId']}")
        if "InstanceMarketOptions" in given:
            yield Call(action, f"{EC2}:spot-instances-request/*")
    else:
        for name in given.get("Resources") or given["InstanceIds"]:
            found = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [name]}])["Tags"]
            tags = {f"aws:ResourceTag/{tag['Key']}": tag["Value"] for tag in found}
            yield Call(action, f"{EC2}:instance/{name}", tags)


def test_on_demand_is_one_line_away(ec2):
    text = CLUSTER.read_text()
    (line,) = [row for row in text.splitlines() if "MarketType: spot" in row]
    _, by_type = started(ec2, bootstrapped(ec2, text.replace(f"{line}\n", "")))
    assert "InstanceLifecycle" not in by_type["g4dn.xlarge"]
