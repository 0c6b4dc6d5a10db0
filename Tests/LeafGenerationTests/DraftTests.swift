import GoldenSupport
import LeafGeneration
import LeafSystem
import Testing

private func randomText(_ count: Int, alphabet: Int32, _ generator: inout SeededGenerator) -> [Int32] {
    (0..<count).map { _ in Int32.random(in: 0..<alphabet, using: &generator) }
}

private func context(of text: [Int32]) -> NgramContext {
    var context = NgramContext()
    for token in text { context.append(token) }
    return context
}

/// The places of a text that stand behind a run of tokens, found one by one.
private func places(behind run: ArraySlice<Int32>, in text: [Int32]) -> [Int] {
    text.indices.filter { $0 >= run.count && text[($0 - run.count)..<$0] == run }
}

@Suite struct NgramIndexTests {
    @Test func continuationsAreThoseOfEveryPlaceBehindTheRun() {
        var generator = SeededGenerator(seed: 81)
        for round in 0..<200 {
            let text = randomText(round, alphabet: Int32(1 + round % 4), &generator)
            var grown = NgramIndex(limit: text.count)
            for token in text { grown.append(token) }
            let sorted = NgramIndex(of: text)
            let end = round % 2 == 0 ? text : randomText(20, alphabet: 4, &generator)
            let longest = (0...min(NgramContext.longest, end.count)).last {
                $0 == 0 || !places(behind: end.suffix($0), in: text).isEmpty
            }
            for index in [grown, sorted] {
                #expect(index.longestMatch(context(of: end)) == longest, "round \(round)")
                for length in 0...(longest ?? 0) {
                    let found = index.ranks(after: context(of: end), length: length).map { index.token(at: $0) }
                    let expected = places(behind: end.suffix(length), in: text).map { text[$0] }
                    #expect(found.sorted() == expected.sorted(), "round \(round), \(length) tokens")
                }
            }
        }
    }

    @Test func aFullIndexStaysAsItIs() {
        var index = NgramIndex(limit: 4)
        for token in [1, 2, 1, 3, 1, 4, 4, 4] as [Int32] { index.append(token) }
        #expect(index.count == 4)
        let ranks = index.ranks(after: context(of: [1]), length: 1)
        #expect(ranks.map { index.token(at: $0) }.sorted() == [2, 3])
    }

    @Test func anEmptyIndexFindsNothing() {
        for index in [NgramIndex(limit: 0), NgramIndex(of: [])] {
            #expect(index.longestMatch(context(of: [1, 2])) == 0)
            #expect(index.ranks(after: context(of: [1, 2]), length: 2).isEmpty)
        }
    }

    /// Tokens of several texts by turns have the runs of each text, and no others.
    @Test func textsByTurnsAreFoundAsEachByItself() {
        var generator = SeededGenerator(seed: 84)
        for round in 0..<60 {
            let texts = (0...round % 5).map { _ in randomText(30, alphabet: Int32(1 + round % 4), &generator) }
            var index = NgramIndex(limit: 200, holdsManyTexts: true)
            var (taken, last) = (texts.map { _ in 0 }, texts.map { _ in -1 })
            while let text = texts.indices.filter({ taken[$0] < texts[$0].count }).randomElement(using: &generator) {
                last[text] = index.append(texts[text][taken[text]], after: last[text])
                taken[text] += 1
            }
            let end = texts[0].suffix(5) + randomText(3, alphabet: 4, &generator)
            let longest = (0...end.count).last { length in
                length == 0 || texts.contains { !places(behind: end.suffix(length), in: $0).isEmpty }
            }
            #expect(index.longestMatch(context(of: Array(end))) == longest)
            for length in 0...(longest ?? 0) {
                let found = index.ranks(after: context(of: Array(end)), length: length).map { index.token(at: $0) }
                let expected = texts.flatMap { text in places(behind: end.suffix(length), in: text).map { text[$0] } }
                #expect(found.sorted() == expected.sorted(), "round \(round), \(length) tokens")
            }
        }
    }

    /// The newest half is always there, and never more than all; what is older goes first.
    @Test func whatIsSharedIsTheNewestPartOfWhatWasSaid() {
        var shared = SharedNgrams(limit: 20)
        var places: [SharedNgrams.Place?] = [nil, nil]
        for token in 0..<100 as Range<Int32> {
            places[Int(token % 2)] = shared.append(token, after: places[Int(token % 2)])
            #expect(shared.count <= 20 && shared.count >= min(Int(token) + 1, 10))
            let kept = [shared.older, shared.newer].flatMap { index in (0..<index.count).map { index.token(at: $0) } }
            #expect(kept.sorted() == Array(token + 1 - Int32(shared.count)...token))
            // Each text counts by twos.
            guard shared.newer.count > 2 else { continue }
            #expect(shared.newer.longestMatch(context(of: [token - 2])) == 1)
            #expect(shared.newer.longestMatch(context(of: [token - 1])) == 0)
        }
    }

    @Test func aCorpusThatDoesNotFitIsRefusedInOneSentence() throws {
        let tokens = [Int32](0..<100)
        let enough = DraftCorpus.buildingBytes(tokens: 100)
        #expect(try DraftCorpus(tokens, within: enough).count == 100)
        #expect(DraftCorpus.mostTokens(within: enough) == 100 && DraftCorpus.mostTokens(within: enough - 1) == 99)
        let error = #expect(throws: LeafError.self) { _ = try DraftCorpus(tokens, within: enough - 1) }
        #expect(error?.kind == .budget && error?.description.contains("99 tokens fit") == true)
    }
}

@Suite struct NgramDrafterTests {
    private func drafter(
        of text: [Int32], nodes: Int = 64, corpus: [Int32]? = nil
    ) throws -> NgramDrafter {
        let corpus = try corpus.map { try DraftCorpus($0, within: 1 << 20) }
        var drafter = NgramDrafter(limit: 1000, nodes: nodes, corpus: corpus)
        drafter.accept(text[...])
        return drafter
    }

    private func draft(
        _ drafter: inout NgramDrafter, count: Int = 64, depth: Int = .max, width: Int = 8
    ) -> DraftTree {
        var tree = DraftTree(capacity: 64)
        drafter.draft(into: &tree, count: count, depth: depth, width: width)
        return tree
    }

    @Test func aRepeatedTextGoesOnAsBefore() throws {
        var drafter = try drafter(of: [1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3])
        let tree = draft(&drafter, count: 9, width: 1)
        #expect(tree.nodes.map(\.token) == [4, 5, 6, 7, 8, 9, 1, 2, 3])
        #expect(tree.nodes.map(\.parent) == [nil, 0, 1, 2, 3, 4, 5, 6, 7])
        #expect(tree.nodes.map(\.depth) == Array(1...9))
    }

    @Test func aTreeIsInOrderAndNeverLargerThanAskedFor() throws {
        var generator = SeededGenerator(seed: 82)
        for round in 0..<100 {
            let width = 1 + round % 4
            let text = randomText(20 + 5 * round, alphabet: 4, &generator)
            var drafter = try drafter(of: text, nodes: 48, corpus: round % 3 == 0 ? text : nil)
            let whole = draft(&drafter, width: width)
            #expect(whole.count <= 48)
            var children: [Int?: [Int32]] = [:]
            for (index, node) in whole.nodes.enumerated() {
                #expect(node.parent.map { $0 < index } ?? true)
                #expect(node.depth == whole.path(to: index).count)
                #expect(node.probability > 0 && node.probability <= (node.parent.map { whole[$0].probability } ?? 1))
                #expect(index == 0 || node.probability <= whole[index - 1].probability)
                children[node.parent, default: []].append(node.token)
            }
            #expect(children.values.allSatisfy { $0.count <= width && Set($0).count == $0.count })
            #expect(whole.nodes.allSatisfy { whole.child($0.token, of: $0.parent) != nil })
            // The best tree of fewer nodes is the beginning of this one.
            let limit = Int.random(in: 0...48, using: &generator)
            #expect(draft(&drafter, count: limit, width: width).nodes == Array(whole.nodes.prefix(limit)))
            let short = draft(&drafter, depth: 2, width: width)
            #expect(short.depth <= 2)
        }
    }

    /// Every guess went on like this somewhere, behind at least the last token of its path.
    @Test func guessesComeFromTheTextOrTheCorpus() throws {
        var generator = SeededGenerator(seed: 83)
        let (text, corpus) = (randomText(60, alphabet: 12, &generator), randomText(90, alphabet: 12, &generator))
        var drafter = try drafter(of: text, corpus: corpus)
        let tree = draft(&drafter)
        #expect(!tree.isEmpty)
        for index in tree.nodes.indices {
            let whole = text + tree.path(to: index)
            let pair = whole.suffix(2)
            let isKnown = [text, corpus].contains { known in
                known.indices.dropFirst().contains { known[($0 - 1)...$0] == pair }
            }
            #expect(isKnown, "\(pair)")
        }
    }

    @Test func whatCameMoreOftenIsMoreProbable() throws {
        var drafter = try drafter(of: [9, 1, 5, 9, 2, 6, 9, 1, 7, 9, 1, 8, 9])
        let first = draft(&drafter).nodes.filter { $0.parent == nil }
        #expect(first.map(\.token) == [1, 2])
        // Three and one of four, where two different ones leave a share for what never came.
        #expect(first.map(\.estimate) == [3.0 / 6, 1.0 / 6])
    }

    @Test func anUnknownEndGivesNoGuess() throws {
        for text in [[], [1], [1, 2, 3]] as [[Int32]] {
            var drafter = try drafter(of: text)
            #expect(draft(&drafter).isEmpty)
        }
    }

    @Test func aCorpusAloneIsEnough() throws {
        var drafter = try drafter(of: [3], corpus: [1, 2, 3, 4, 5])
        #expect(draft(&drafter).nodes.map(\.token) == [4, 5])
    }
}

@Suite struct DraftCalibrationTests {
    @Test func anEstimateIsBelievedUntilSomethingCame() {
        let calibration = DraftCalibration()
        for kind in DraftCalibration.kinds { #expect(calibration.chance(0.3, kind: kind) == 0.3) }
    }

    @Test func estimatesAreCorrectedByWhatCame() {
        var (calibration, tree) = (DraftCalibration(), DraftTree(capacity: 2))
        tree.append(7, after: nil, chance: 0.8, estimate: 0.8, kind: 1)
        tree.append(8, after: 0, chance: 0.5, estimate: 0.5, kind: 3)
        // One of four first guesses comes; then always the second one.
        for round in 0..<4000 { calibration.learn(from: tree, round % 4 == 0 ? [0, 1] : []) }
        #expect(abs(calibration.chance(0.8, kind: 1) - 0.25) < 0.01)
        #expect(abs(calibration.chance(0.5, kind: 3) - 1) < 0.01)
        // Other kinds and other estimates are another matter.
        #expect(calibration.chance(0.8, kind: 3) == 0.8)
        #expect(calibration.chance(0.2, kind: 1) == 0.2)
    }

    @Test func guessesThatTheTextDidNotReachCountForNothing() {
        var (calibration, tree) = (DraftCalibration(), DraftTree(capacity: 3))
        tree.append(7, after: nil, chance: 0.5, estimate: 0.5)
        tree.append(8, after: 0, chance: 0.5, estimate: 0.3)
        tree.append(6, after: nil, chance: 0.2, estimate: 0.1)
        calibration.learn(from: tree, [2])
        #expect(calibration.chance(0.3, kind: 0) == 0.3)
        #expect(calibration.chance(0.5, kind: 0) < 0.5 && calibration.chance(0.1, kind: 0) > 0.1)
    }
}

@Suite struct DraftTreeTests {
    @Test func probabilitiesArePathsAndSumToTheTokensExpected() {
        var tree = DraftTree(capacity: 4)
        tree.append(1, after: nil, chance: 0.5, estimate: 0.6)
        tree.append(2, after: 0, chance: 0.5, estimate: 0.5)
        tree.append(3, after: nil, chance: 0.25, estimate: 0.3)
        #expect(tree.nodes.map(\.probability) == [0.5, 0.25, 0.25] && tree.expectedTokens == 1)
        #expect(tree.child(2, of: 0) == 1 && tree.child(2, of: nil) == nil && tree.child(3, of: nil) == 2)
        #expect(tree.path(to: 1) == [1, 2] && tree.path(to: nil).isEmpty && tree.depth == 2)
        tree.keep { $0.probability > 0.3 }
        #expect(tree.nodes.map(\.token) == [1])
        tree.removeAll()
        #expect(tree.isEmpty && tree.expectedTokens == 0 && tree.capacity == 4)
    }

    /// Every draft is in the lane of its place in the text, behind the one before it, and alone.
    @Test func arrangedDraftsAreInTheirLanesAndBehindTheirParents() {
        var random = SeededGenerator(seed: 5)
        for round in 0..<300 {
            var tree = DraftTree(capacity: 40)
            for _ in 0..<Int.random(in: 1...40, using: &random) {
                let parent = Int.random(in: -1..<tree.count, using: &random)
                let token = Int32.random(in: 0..<100_000, using: &random)
                tree.append(token, after: parent < 0 ? nil : parent, chance: 0.5, estimate: 0.5)
            }
            let whole = tree
            let (trunk, pages) = (round, round % 9)
            tree.arrange(behind: trunk, pages: pages)
            #expect(pages > 2 * 40 || tree.count <= whole.count)
            #expect(pages == 0 ? tree.isEmpty : tree[0].place == trunk)
            #expect(Set(tree.nodes.map(\.place)).count == tree.count)
            for (index, node) in tree.nodes.enumerated() {
                let before = node.parent.map { tree[$0] }
                #expect(node.place > before?.place ?? trunk - 1 && node.parent ?? -1 < index)
                #expect((node.place - trunk - node.depth + 1) % 16 == 0 && node.depth == (before?.depth ?? 0) + 1)
                #expect(node.place / 16 < trunk / 16 + pages)
                #expect(index == 0 || node.place > tree[index - 1].place)
            }
            let paths = Set(whole.nodes.indices.map { whole.path(to: $0) })
            #expect(tree.nodes.indices.allSatisfy { paths.contains(tree.path(to: $0)) })
            tree = whole
            tree.arrange(behind: trunk, pages: 41)
            #expect(tree.count == whole.count)
        }
    }
}
