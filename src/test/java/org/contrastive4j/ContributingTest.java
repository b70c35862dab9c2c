package org.contrastive4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The recipes of {@code .github/CONTRIBUTING.md} list every file that their examples touch. */
class ContributingTest {
    private static final Pattern SEARCH = Pattern.compile("`grep -rlE '([^']+)' ([^`]+)`");
    private static final Pattern FILE = Pattern.compile("(?m)^\\d+\\. `([^`]+)`");

    private record Recipe(String name, Pattern example, List<Path> folders, Set<String> files) {
        @Override
        public String toString() {
            return name;
        }
    }

    static List<Recipe> recipes() throws IOException {
        List<Recipe> recipes = new ArrayList<>();
        for (String section :
                Files.readString(Path.of(".github/CONTRIBUTING.md")).split("(?m)^## ")) {
            Matcher search = SEARCH.matcher(section);
            if (search.find()) {
                Set<String> files = FILE.matcher(section)
                        .results()
                        .map(found -> found.group(1))
                        .collect(Collectors.toCollection(TreeSet::new));
                recipes.add(new Recipe(
                        section.lines().findFirst().orElseThrow(),
                        Pattern.compile(search.group(1)),
                        Stream.of(search.group(2).split(" ")).map(Path::of).toList(),
                        files));
            }
        }
        return recipes;
    }

    @Test
    void recipes_areFour() throws IOException {
        assertEquals(
                List.of("Add a loss", "Add an operation", "Add a kernel", "Add a simulated instruction"),
                recipes().stream().map(Recipe::name).toList());
    }

    @ParameterizedTest
    @MethodSource("recipes")
    void recipe_files_areThoseThatItsExampleTouches(Recipe recipe) throws IOException {
        Set<String> touched = new TreeSet<>();
        for (Path folder : recipe.folders) {
            try (Stream<Path> files = Files.walk(folder)) {
                files.filter(Files::isRegularFile)
                        .filter(file -> mentions(file, recipe.example))
                        .forEach(file -> touched.add(file.toString().replace('\\', '/')));
            }
        }
        Set<String> listed = recipe.files.stream()
                .filter(file ->
                        recipe.folders.stream().anyMatch(folder -> Path.of(file).startsWith(folder)))
                .collect(Collectors.toCollection(TreeSet::new));
        assertEquals(touched, listed);
        for (String file : recipe.files) {
            assertTrue(mentions(Path.of(file), recipe.example), file + " does not mention " + recipe.example);
        }
        assertTrue(
                recipe.files.stream().anyMatch(file -> file.startsWith("src/test/java")), "no test in " + recipe.files);
    }

    private static boolean mentions(Path file, Pattern example) {
        try {
            return example.matcher(new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1))
                    .find();
        } catch (IOException e) {
            throw new IllegalStateException(file + " cannot be read", e);
        }
    }
}
