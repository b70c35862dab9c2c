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
target=$(cd "$(dirname "$script")" && pwd)
lib=$target/lib
java=java
[ -n "$JAVA_HOME" ] && java=$JAVA_HOME/bin/java
# In the C locale, Java replaces every letter beyond ASCII in arguments and output.
case ${LC_ALL:-${LC_CTYPE:-$LANG}} in
    ''|C|POSIX) export LC_ALL=C.UTF-8 ;;
esac
# An archive of another JVM is left out in silence. C4J_OPTS is split into words on purpose.
exec "$java" -Xshare:auto -XX:SharedArchiveFile="$lib/c4j.jsa" -Xlog:cds=off -Xlog:cds+dynamic=off -Dcontrastive4j.project="$target/.." $C4J_OPTS -jar "$lib/@JAR@" "$@"
