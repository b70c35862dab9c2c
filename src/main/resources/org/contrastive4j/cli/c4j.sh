#!/bin/sh
# Runs the command line of contrastive4j. C4J_OPTS: options for the JVM, such as -Xmx8g.
# Completion in bash, and in zsh after `autoload -U bashcompinit && bashcompinit`: source lib/c4j-completion.bash
script=$0
while [ -h "$script" ]; do
    link=$(readlink "$script")
    case $link in
        /*) script=$link ;;
        *) script=$(dirname "$script")/$link ;;
    esac
done
lib=$(cd "$(dirname "$script")" && pwd)/lib
java=java
[ -n "$JAVA_HOME" ] && java=$JAVA_HOME/bin/java
# An archive of another JVM is left out in silence. C4J_OPTS is split into words on purpose.
exec "$java" -Xshare:auto -XX:SharedArchiveFile="$lib/c4j.jsa" -Xlog:cds=off -Xlog:cds+dynamic=off $C4J_OPTS -jar "$lib/@JAR@" "$@"
