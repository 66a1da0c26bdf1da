#!/bin/sh
# Installs packages of the distribution, as root: sh install-packages.sh PACKAGE...
# Debian starts and enables the services of a package as it installs it. Parley runs its own instances, so the services
# of packages that were not there before are neither started nor enabled, and no database cluster is left behind.
set -eu

policy=/usr/sbin/policy-rc.d
has_service() { [ -e "/lib/systemd/system/$1" ] || [ -e "/etc/init.d/${1%.service}" ]; }
clusters() { ls /etc/postgresql 2> /dev/null || :; }

new_services=
for service in epmd.socket epmd.service postgresql.service prometheus.service rabbitmq-server.service; do
  has_service "$service" || new_services="$new_services $service"
done
old_clusters=" $(clusters | tr '\n' ' ') "
own_policy=

# However the installation ended, what it brought must stay quiet: no step waits for the success of another.
quieten() {
  status=$?
  trap - EXIT
  if [ "$own_policy" ]; then rm -f "$policy" || status=1; fi
  for service in $new_services; do
    has_service "$service" || continue
    if command -v systemctl > /dev/null; then systemctl --quiet disable "$service" || status=1; fi
    if [ -e "/etc/init.d/${service%.service}" ]; then update-rc.d "${service%.service}" disable || status=1; fi
  done
  for version in $(clusters); do
    case "$old_clusters" in
      *" $version "*) ;;
      *) pg_dropcluster --stop "$version" main || status=1 ;;
    esac
  done
  exit "$status"
}
trap quieten EXIT
trap 'exit 130' HUP INT TERM

# Exit code 101 is how this hook forbids to start a service. One that is already there (as in a container) stays.
if [ ! -e "$policy" ]; then
  own_policy=yes
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod 755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update -q || echo 'The package lists could not be renewed; going on with those that are there.'
apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
