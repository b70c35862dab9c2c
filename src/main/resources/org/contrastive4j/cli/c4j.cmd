@echo off
rem Runs the command line of contrastive4j. C4J_OPTS: options for the JVM, such as -Xmx8g.
setlocal
set "LIB=%~dp0lib"
set "JAVA=java"
if defined JAVA_HOME set "JAVA=%JAVA_HOME%\bin\java"
"%JAVA%" -Xshare:auto "-XX:SharedArchiveFile=%LIB%\c4j.jsa" -Xlog:cds=off -Xlog:cds+dynamic=off "-Dcontrastive4j.project=%~dp0.." %C4J_OPTS% -jar "%LIB%\@JAR@" %*
