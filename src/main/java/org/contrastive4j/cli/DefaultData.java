package org.contrastive4j.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import org.contrastive4j.internal.config.SystemProperties;
import org.contrastive4j.train.TrainConfig;

/** The pairs that commands train on without --data. */
final class DefaultData {
    /** Path in the project. */
    static final Path RELATIVE = Path.of(TrainConfig.emoji().data());

    private DefaultData() {}

    /**
     * Returns where data are: the default data can also be in the project of the launcher.
     *
     * @param data value of --data
     * @throws IllegalArgumentException when the default data are in neither folder
     */
    static Path located(Path data) {
        if (!data.equals(RELATIVE) || Files.exists(data)) {
            return data;
        }
        String project = SystemProperties.project();
        if (project != null && Files.exists(Path.of(project).resolve(data))) {
            return Path.of(project).resolve(data);
        }
        throw new IllegalArgumentException("no data: the default, " + data + ", is not in the working folder "
                + Path.of("").toAbsolutePath()
                + (project == null
                        ? ""
                        : " and not in the project " + Path.of(project).normalize())
                + "; name a folder of pairs with --data, or change to the folder of the project");
    }
}
