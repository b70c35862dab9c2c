// What the program printed on both platforms, and what a linker gets.
def log = new File(basedir, 'build.log').text
assert log.contains('loss 0.313262, gradient ')
assert log =~ /(?m)cuda: \S+/
assert !log.contains('UnsatisfiedLinkError')
assert !log.contains('WARNING: A restricted method')
assert log.contains('org.bytedeco:openblas:jar:linux-arm64:')
if (System.getProperty('os.arch') != 'aarch64') {
    assert log =~ /cpu: the native library of \w+ could not be loaded on Linux aarch64/
    assert log.contains('cuda: no CUDA on this platform')
}
def libraries = new File(basedir, 'target/dependency').listFiles()
def foreign = libraries*.name.findAll { !(it =~ /^(contrastive4j|jcuda|jcublas|openblas|javacpp|jcpp|slf4j-api|jspecify)[-0-9]/) }
assert foreign == [] : "a linker gets more than the core: $foreign"
println libraries.collect { String.format('%10d  %s', it.length(), it.name) }.sort().reverse().join('\n')
println String.format('%10d  bytes in %d files', libraries.collect { it.length() }.sum(), libraries.length)
return true
