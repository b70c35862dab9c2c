package org.contrastive4j.data;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32;

/**
 * Sample ids to train on, and held-out test splits by name.
 *
 * <p>{@code new-design}: the held-out group's pictures of training concepts. {@code new-concept}: pictures of concepts never trained on, of the held-out
 * group where there is one. Which concepts are unseen depends only on the seed and the concept's name.
 */
public record Splits(List<Integer> train, Map<String, List<Integer>> tests) {
    /**
     * @param heldOutGroup test on this group and train on the others; empty for none
     * @param unseenShare share of concepts kept out of training, in [0, 1)
     * @throws DataException when there is no such group, or nothing is left to train on
     */
    public static Splits of(PairDataset data, String heldOutGroup, double unseenShare, long seed) {
        if (!heldOutGroup.isEmpty() && !data.groups().contains(heldOutGroup)) {
            throw new DataException("no group " + heldOutGroup + " in " + data.path() + "; there are " + data.groups());
        }
        List<Integer> train = new ArrayList<>();
        List<Integer> newDesign = new ArrayList<>();
        List<Integer> newConcept = new ArrayList<>();
        for (Sample sample : data.samples()) {
            boolean heldOut = !heldOutGroup.isEmpty() && sample.group().equals(heldOutGroup);
            if (isUnseen(sample.concept(), unseenShare, seed)) {
                if (heldOut || heldOutGroup.isEmpty()) {
                    newConcept.add(sample.id());
                }
            } else if (heldOut) {
                newDesign.add(sample.id());
            } else {
                train.add(sample.id());
            }
        }
        long concepts = train.stream().map(id -> data.sample(id).concept()).distinct().count();
        if (concepts < 2) {
            throw new DataException("holding out group \"" + heldOutGroup + "\" and " + unseenShare
                    + " of the concepts leaves " + concepts + " concepts to train on, wanted at least 2");
        }
        Map<String, List<Integer>> tests = new LinkedHashMap<>();
        if (!newDesign.isEmpty()) {
            tests.put("new-design", List.copyOf(newDesign));
        }
        if (!newConcept.isEmpty()) {
            tests.put("new-concept", List.copyOf(newConcept));
        }
        return new Splits(List.copyOf(train), tests);
    }

    private static boolean isUnseen(String concept, double share, long seed) {
        CRC32 crc = new CRC32();
        crc.update((seed + "/" + concept).getBytes(StandardCharsets.UTF_8));
        return crc.getValue() < share * 0x1p32;
    }
}
