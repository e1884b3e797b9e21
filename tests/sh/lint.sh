#!/bin/sh
# The static checks that judge, as test lines.
exec sh "$(dirname "$0")/../lint/run.sh" --tap
