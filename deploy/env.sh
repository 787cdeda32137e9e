# Sourced by the other scripts: the settings of .env, where the environment does not say otherwise, as docker compose reads them.
if [ -f .env ]; then
  while IFS='=' read -r name value; do
    [ -n "${!name+set}" ] || export "$name=$value"
  done < <(grep -E '^[A-Z_]+=' .env)
fi
