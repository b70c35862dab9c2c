package org.contrastive4j.internal.cuda;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.contrastive4j.device.PtxModule.PtxException;

/** Parses the log of NVIDIA's assembler ptxas, offline or inside the driver. */
final class AssemblerLog {
    private static final Pattern FAULT = Pattern.compile("ptxas\\s+(?:(.*), line (\\d+); )?(?:error|fatal)\\s*: (.*)");
    private static final String UNNAMED = "application ptx input";
    private static final Pattern ADVISORY = Pattern.compile("C75\\d\\d|(?i:\\bwarning\\b|\\badvisory\\b)");

    private AssemblerLog() {}

    /** Returns the characters before the first zero byte. */
    static String text(byte[] log) {
        int length = 0;
        while (length < log.length && log[length] != 0) {
            length++;
        }
        return new String(log, 0, length, StandardCharsets.UTF_8).strip();
    }

    /** Returns an exception with the first error and its line, then the others; {@code #line} marks name the file. */
    static PtxException failure(String file, String log, String otherwise) {
        String first = file;
        int line = 0;
        StringBuilder message = new StringBuilder();
        for (String row : log.lines().toList()) {
            Matcher fault = FAULT.matcher(row);
            if (!fault.find() || fault.group(3).startsWith("Ptx assembly aborted")) {
                continue;
            }
            // for an error right after the header the assembler reports line 1, whatever the line is
            int at = fault.group(2) == null
                            || fault.group(1).isBlank() && fault.group(2).equals("1")
                    ? 0
                    : Integer.parseInt(fault.group(2));
            String in = at == 0 || fault.group(1).isBlank() || fault.group(1).equals(UNNAMED) ? file : fault.group(1);
            if (message.length() == 0) {
                first = in;
                line = at;
                message.append(fault.group(3).strip());
            } else {
                String where = at == 0 ? "" : (in.equals(first) ? "" : in + " ") + "line " + at + ": ";
                message.append("\n  ").append(where).append(fault.group(3).strip());
            }
        }
        return new PtxException(
                first,
                line,
                0,
                message.length() > 0 ? message.toString() : log.isEmpty() ? otherwise : otherwise + ": " + log);
    }

    /** Returns the advisories of the assembler, such as serialised wgmma. */
    static List<String> advisories(String log) {
        return log.lines()
                .filter(row -> ADVISORY.matcher(row).find())
                .map(String::strip)
                .toList();
    }
}
