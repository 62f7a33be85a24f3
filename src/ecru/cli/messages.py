"""Longer texts for people: what a first start shows, and how to use what it made.

They are printed as they are, without colours or wrapping, since they are made to be copied.
"""

from ecru.access.bootstrap import Credentials
from ecru.policy.arn import Registry
from ecru.prepare import Preparation
from ecru.rules.hosts import registry_host
from ecru.settings import Settings


def render_exports(settings: Settings, credentials: Credentials) -> str:
    """Lines for a shell that point the aws CLI, and whatever uses an AWS SDK, at this server."""
    return f"""\
export AWS_ACCESS_KEY_ID={credentials.access_key_id}
export AWS_SECRET_ACCESS_KEY={credentials.secret_access_key}
export AWS_REGION={settings.region} AWS_DEFAULT_REGION={settings.region}
export AWS_ENDPOINT_URL={public_endpoint(settings)}
unset AWS_SESSION_TOKEN AWS_PROFILE
"""


def render_first_start(settings: Settings, preparation: Preparation, credentials: Credentials) -> str:
    """What a first start says, once: the key, and the lines to go on with."""
    endpoint = public_endpoint(settings)
    registry = registry_host(Registry(settings.account, settings.region), domain=settings.domain, host=settings.address)
    plain = endpoint.startswith("http://")
    skopeo_login, skopeo_copy = (" --tls-verify=false", " --dest-tls-verify=false") if plain else ("", "")
    exports = "".join(f"  {line}\n" for line in render_exports(settings, credentials).splitlines())
    return f"""\
ecru has made account {settings.account} with region {settings.region}, and the access key of its root.
The secret is shown this once. It is kept in {preparation.file}, which only you can read,
and `ecru env` prints the lines for a shell again.

{exports}
  aws ecr create-repository --repository-name hello

The aws CLI before 2.13 (or 1.29) does not know AWS_ENDPOINT_URL and would call the real AWS. Tell it in each command:

  aws --endpoint-url {endpoint} ecr create-repository --repository-name hello

Log in, with one of them:

  aws ecr get-login-password | docker login --username AWS --password-stdin {registry}
  aws ecr get-login-password | skopeo login{skopeo_login} --username AWS --password-stdin {registry}

Push a first image, with one of them:

  docker pull busybox && docker tag busybox {registry}/hello:1 && docker push {registry}/hello:1
  skopeo copy{skopeo_copy} docker://docker.io/library/busybox docker://{registry}/hello:1

"""


def public_endpoint(settings: Settings) -> str:
    """URL of the AWS API for clients: of the domain if there is one, which a trusted proxy serves with TLS."""
    if settings.domain is None:
        return settings.endpoint
    return f"{'https' if settings.tls or settings.trusted_proxies else 'http'}://{settings.domain}"
