package org.contrastive4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.reflect.Executable;
import java.lang.reflect.Field;
import java.lang.reflect.GenericArrayType;
import java.lang.reflect.Member;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.lang.reflect.WildcardType;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The types that users of the library see are those listed in {@code src/test/resources/api.txt}. */
class ApiTest {
    private static final Path LIST = Path.of("src/test/resources/api.txt");
    private static final String ROOT = "org.contrastive4j.";
    private static final String INTERNAL = ROOT + "internal.";
    private static final String COMMAND_LINE = ROOT + "cli.";

    @Test
    void exportedTypes_areThoseOfTheList() throws IOException, URISyntaxException {
        String found = exported().stream().map(ApiTest::line).collect(Collectors.joining("\n", "", "\n"));
        if (Boolean.getBoolean("api.write")) {
            Files.writeString(LIST, found);
        }
        Set<String> added = new TreeSet<>(found.lines().toList());
        List<String> listed = Files.readAllLines(LIST);
        added.removeAll(listed);
        Set<String> removed = new TreeSet<>(listed);
        removed.removeAll(found.lines().toList());
        assertEquals(
                "added [], removed []",
                "added " + added + ", removed " + removed,
                "the exported types are not those of " + LIST + ". A type that users need not see belongs to a package"
                        + " named internal or is package-private. If the change of the API is intended, write the list"
                        + " anew and commit it: mvn test -Dtest=ApiTest -Dapi.write=true");
    }

    /** A reader of the documentation looks through these; nested types are found at their owners. */
    @Test
    void exportedTypes_topLevel_areAtMost90() throws IOException, URISyntaxException {
        List<Class<?>> topLevel = exported().stream()
                .filter(type -> type.getDeclaringClass() == null)
                .toList();
        assertTrue(topLevel.size() <= 90, topLevel.size() + " exported top-level types: " + topLevel);
    }

    /** A caller could neither name nor import such a type. */
    @Test
    void exportedSignatures_mentionNoInternalTypes() throws IOException, URISyntaxException {
        Set<String> leaks = new TreeSet<>();
        for (Class<?> type : exported()) {
            for (Executable member : type.getDeclaredConstructors()) {
                leak(type, member, member.getGenericParameterTypes(), leaks);
            }
            for (Method member : type.getDeclaredMethods()) {
                if (!member.isSynthetic()) {
                    leak(type, member, member.getGenericParameterTypes(), leaks);
                    leak(type, member, new Type[] {member.getGenericReturnType()}, leaks);
                }
            }
            for (Field member : type.getDeclaredFields()) {
                leak(type, member, new Type[] {member.getGenericType()}, leaks);
            }
        }
        assertEquals(Set.of(), leaks);
    }

    /** Nested in a test, so that its signatures can be wrong. */
    public static class Leaking {
        public List<? extends org.contrastive4j.internal.cpu.CpuOps[]> leaking() {
            return List.of();
        }
    }

    @Test
    void leak_internalTypeInAGenericReturnType_isFound() throws ReflectiveOperationException {
        Method member = Leaking.class.getMethod("leaking");
        Set<String> leaks = new TreeSet<>();
        leak(Leaking.class, member, new Type[] {member.getGenericReturnType()}, leaks);
        assertEquals(1, leaks.size(), leaks.toString());
    }

    private static void leak(Class<?> type, Member member, Type[] mentioned, Set<String> leaks) {
        boolean visible = Modifier.isPublic(member.getModifiers())
                || Modifier.isProtected(member.getModifiers()) && !Modifier.isFinal(type.getModifiers());
        if (visible) {
            Arrays.stream(mentioned)
                    .flatMap(ApiTest::names)
                    .filter(name -> name.startsWith(INTERNAL) || name.startsWith(COMMAND_LINE))
                    .forEach(name -> leaks.add(type.getName() + "." + member.getName() + " mentions " + name));
        }
    }

    private static Stream<String> names(Type type) {
        if (type instanceof Class<?> plain) {
            return Stream.of(plain.isArray() ? plain.getComponentType().getName() : plain.getName());
        }
        if (type instanceof ParameterizedType generic) {
            return Stream.concat(
                    names(generic.getRawType()),
                    Arrays.stream(generic.getActualTypeArguments()).flatMap(ApiTest::names));
        }
        if (type instanceof GenericArrayType array) {
            return names(array.getGenericComponentType());
        }
        if (type instanceof WildcardType wildcard) {
            return Stream.concat(Arrays.stream(wildcard.getUpperBounds()), Arrays.stream(wildcard.getLowerBounds()))
                    .flatMap(ApiTest::names);
        }
        return Stream.of();
    }

    /** Public types of packages that are neither internal nor the command line, nested ones included, by name. */
    private static List<Class<?>> exported() throws IOException, URISyntaxException {
        Path classes = Path.of(Backend.class
                .getProtectionDomain()
                .getCodeSource()
                .getLocation()
                .toURI());
        assumeTrue(Files.isDirectory(classes), "runs on the build's folder of classes, not on " + classes);
        try (Stream<Path> files = Files.walk(classes.resolve("org"))) {
            return files.map(file -> classes.relativize(file)
                            .toString()
                            .replace(classes.getFileSystem().getSeparator(), "."))
                    .filter(file -> file.endsWith(".class") && !file.endsWith("-info.class"))
                    .map(file -> file.substring(0, file.length() - ".class".length()))
                    .filter(name -> !name.startsWith(INTERNAL) && !name.startsWith(COMMAND_LINE))
                    .sorted()
                    .<Class<?>>map(ApiTest::load)
                    .filter(ApiTest::isVisible)
                    .toList();
        }
    }

    private static Class<?> load(String name) {
        try {
            return Class.forName(name, false, ApiTest.class.getClassLoader());
        } catch (ClassNotFoundException e) {
            throw new IllegalStateException(e);
        }
    }

    private static boolean isVisible(Class<?> type) {
        for (Class<?> outer = type; outer != null; outer = outer.getDeclaringClass()) {
            if (!Modifier.isPublic(outer.getModifiers()) && !Modifier.isProtected(outer.getModifiers())) {
                return false;
            }
        }
        return !type.isAnonymousClass() && !type.isLocalClass();
    }

    private static String line(Class<?> type) {
        String kind = type.isAnnotation()
                ? "annotation"
                : type.isInterface() ? "interface" : type.isEnum() ? "enum" : type.isRecord() ? "record" : "class";
        return type.getCanonicalName() + " " + kind;
    }
}
