// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableExperimentalFeature("Lifetimes"),
    .treatAllWarnings(as: .error),
]
let library = strict + [.enableUpcomingFeature("InternalImportsByDefault")]
let c: [CSetting] = [.treatAllWarnings(as: .error)]

let package = Package(
    name: "leafcutter",
    products: [
        .library(name: "Leafcutter", targets: ["Leafcutter"]),
        .executable(name: "leafcutter", targets: ["LeafCLI"]),
        // Its objects become libleafcutter.so.1: `make library`.
        .library(name: "LeafC", type: .static, targets: ["LeafC"]),
    ],
    targets: [
        // C: what Swift cannot see, kernels, data, system libraries.
        .target(name: "CSystem", cSettings: c),
        .target(name: "CProgram", cSettings: c),
        .target(name: "CLeafKernels", cSettings: c),
        .target(name: "CLeafBLAS", cSettings: c, linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
        .target(name: "CTokenizerData", exclude: ["data"], cSettings: c),
        .target(name: "CPage", exclude: ["page"], cSettings: c),
        .systemLibrary(name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
        .systemLibrary(name: "CXXHash", pkgConfig: "libxxhash", providers: [.apt(["libxxhash-dev"])]),
        .systemLibrary(name: "CEvent", providers: [.apt(["libevent-dev"])]),
        .systemLibrary(name: "COpenSSL", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

        // The machine: memory, files, threads, and what the kernel says.
        .target(name: "LeafSystem", dependencies: ["CSystem"], swiftSettings: library),
        // What is in a file.
        .target(name: "LeafFormat", dependencies: ["LeafSystem", "CLZ4", "CXXHash"], swiftSettings: library),
        // Bytes and blocks under a budget.
        .target(name: "LeafStream", dependencies: ["LeafSystem", "LeafFormat"], swiftSettings: library),
        // A CPM-Ant's configuration, tensors and published sizes.
        .target(name: "CPMAntShape", dependencies: ["LeafSystem", "LeafFormat"], swiftSettings: library),
        // Rows on a sweep: batch, cache, threads, products.
        .target(
            name: "LeafExecutor",
            dependencies: ["LeafSystem", "LeafFormat", "LeafStream", "CLeafKernels", "CLeafBLAS"],
            swiftSettings: library),
        // The model: what a block computes.
        .target(
            name: "CPMAnt",
            dependencies: ["CPMAntShape", "LeafExecutor", "LeafSystem", "LeafFormat", "LeafStream", "CLeafKernels"],
            swiftSettings: library),
        // Text to ids and back.
        .target(
            name: "LeafTokenizer", dependencies: ["LeafSystem", "LeafFormat", "CTokenizerData"],
            swiftSettings: library),
        // What makes model files has in common.
        .target(
            name: "LeafConversion", dependencies: ["LeafSystem", "LeafFormat", "CLeafKernels"], swiftSettings: library),
        // Checkpoints to .leaf, and back.
        .target(
            name: "LeafImport",
            dependencies: [
                "CPMAntShape", "LeafSystem", "LeafFormat", "LeafTokenizer", "LeafConversion", "CZlib", "CLeafKernels",
            ],
            swiftSettings: library),
        // Models of any shape, without a checkpoint.
        .target(
            name: "LeafSynthesis",
            dependencies: ["CPMAntShape", "LeafSystem", "LeafFormat", "LeafTokenizer", "LeafConversion"],
            swiftSettings: library),
        // What to compute next.
        .target(
            name: "LeafGeneration",
            dependencies: ["CPMAntShape", "LeafExecutor", "LeafSystem", "LeafFormat", "LeafTokenizer", "CLeafKernels"],
            swiftSettings: library),
        // Published tasks: items to requests, outputs to metrics.
        .target(
            name: "LeafEvaluation",
            dependencies: ["CPMAntShape", "LeafSystem", "LeafGeneration", "LeafTokenizer"],
            swiftSettings: library),
        // The facade that people embed.
        .target(
            name: "Leafcutter",
            dependencies: [
                "LeafSystem", "LeafFormat", "LeafStream", "LeafExecutor", "CPMAntShape", "CPMAnt", "LeafTokenizer",
                "LeafConversion", "LeafImport",
                "LeafSynthesis", "LeafGeneration", "LeafEvaluation",
            ],
            swiftSettings: library),
        .executableTarget(
            name: "embedding", dependencies: ["Leafcutter"], path: "Examples/Embedding", swiftSettings: strict),
        .target(
            name: "GoldenSupport", dependencies: ["CPMAntShape", "LeafSystem", "LeafFormat"],
            path: "Tests/GoldenSupport",
            swiftSettings: strict),
        .testTarget(
            name: "LeafcutterTests",
            dependencies: [
                "Leafcutter", "CPMAnt", "CPMAntShape", "LeafExecutor", "LeafSystem", "LeafFormat", "LeafGeneration",
                "LeafImport", "LeafStream", "LeafTokenizer", "GoldenSupport", "CAllocationCounter", "CLeafKernels",
            ],
            swiftSettings: strict),
        .target(name: "CAllocationCounter", path: "Tests/CAllocationCounter", cSettings: c),
        .testTarget(name: "BudgetTests", dependencies: ["GoldenSupport"], swiftSettings: strict),
        .testTarget(
            name: "LeafExecutorTests",
            dependencies: [
                "CPMAnt", "CPMAntShape", "LeafExecutor", "LeafSystem", "LeafFormat", "LeafStream", "GoldenSupport",
                "CLeafKernels",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "CPMAntTests", dependencies: ["CPMAnt", "CPMAntShape", "LeafSystem", "LeafFormat", "GoldenSupport"],
            swiftSettings: strict),
        .target(
            name: "CKernelChecks", dependencies: ["CLeafKernels"], path: "Tests/CKernelChecks",
            exclude: ["arm", "bochs"],
            cSettings: c),
        .testTarget(
            name: "CLeafKernelsTests", dependencies: ["CLeafKernels", "CKernelChecks", "GoldenSupport"],
            swiftSettings: strict),
        // What is typed, and what a shell completes.
        .target(name: "LeafArguments", dependencies: ["LeafSystem", "LeafFormat"], swiftSettings: library),
        // Requests, answers and errors as JSON: for the command line, a C library, a server.
        .target(
            name: "LeafWire",
            dependencies: [
                "CPMAntShape", "LeafExecutor", "LeafSystem", "LeafFormat", "LeafStream", "LeafTokenizer",
                "LeafGeneration", "LeafEvaluation", "Leafcutter",
            ],
            swiftSettings: library),
        // A file of requests answered into another, in as many runs as it takes.
        .target(
            name: "LeafBatch",
            dependencies: [
                "CPMAntShape", "LeafExecutor", "LeafSystem", "LeafFormat", "LeafGeneration", "LeafWire", "Leafcutter",
            ],
            swiftSettings: library),
        // What a program of another language calls: leafcutter.h.
        .target(name: "CLibrary", exclude: ["leafcutter.map", "leafcutter.pc.in"], cSettings: c),
        .target(
            name: "LeafC",
            dependencies: [
                "CLibrary", "LeafSystem", "LeafFormat", "LeafStream", "LeafExecutor", "LeafTokenizer", "LeafGeneration",
                "Leafcutter", "LeafWire", "LeafBatch",
            ],
            swiftSettings: library),
        // Requests over HTTP: who asks, who waits, what each gets.
        .target(
            name: "LeafServer",
            dependencies: [
                "CEvent", "COpenSSL", "CPage", "CPMAntShape", "LeafExecutor", "LeafSystem", "LeafFormat",
                "LeafGeneration", "LeafStream", "LeafTokenizer", "LeafWire", "LeafBatch", "Leafcutter",
            ],
            swiftSettings: library),
        .testTarget(
            name: "LeafServerTests",
            dependencies: [
                "LeafServer", "CPMAntShape", "LeafBatch", "LeafExecutor", "LeafSystem", "LeafFormat", "LeafGeneration",
                "LeafImport",
                "LeafTokenizer", "LeafWire", "Leafcutter", "GoldenSupport",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "LeafBatchTests",
            dependencies: [
                "LeafBatch", "LeafSystem", "LeafFormat", "LeafGeneration", "LeafWire", "Leafcutter", "GoldenSupport",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "LeafWireTests",
            dependencies: [
                "CPMAntShape", "LeafExecutor", "LeafWire", "LeafSystem", "LeafFormat", "LeafGeneration",
                "LeafTokenizer",
                "Leafcutter",
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "LeafCLI",
            dependencies: [
                "Leafcutter", "CPMAntShape", "LeafExecutor", "LeafSystem", "LeafFormat", "LeafStream", "LeafTokenizer",
                "LeafImport", "LeafWire", "LeafBatch", "LeafServer", "LeafArguments", "CProgram", "CSystem",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "LeafCLITests",
            dependencies: ["LeafCLI", "LeafArguments", "LeafSystem", "Leafcutter", "GoldenSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "LeafArgumentsTests", dependencies: ["LeafArguments", "LeafSystem", "LeafFormat"],
            swiftSettings: strict),
        .testTarget(
            name: "LeafGenerationTests",
            dependencies: [
                "CPMAntShape", "LeafExecutor", "LeafGeneration", "LeafTokenizer", "LeafSystem", "LeafFormat",
                "GoldenSupport", "CLeafKernels",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "LeafEvaluationTests",
            dependencies: [
                "CPMAntShape", "LeafEvaluation", "LeafSystem", "LeafFormat", "LeafGeneration", "LeafTokenizer",
                "GoldenSupport",
            ],
            swiftSettings: strict),
        .testTarget(name: "LeafSystemTests", dependencies: ["LeafSystem", "GoldenSupport"], swiftSettings: strict),
        .testTarget(
            name: "LeafFormatTests", dependencies: ["CPMAntShape", "LeafSystem", "LeafFormat", "GoldenSupport"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "LeafImportTests",
            dependencies: [
                "CPMAntShape", "LeafConversion", "LeafSystem", "LeafFormat", "LeafImport", "LeafTokenizer",
                "GoldenSupport", "CLeafKernels",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "LeafSynthesisTests",
            dependencies: [
                "Leafcutter", "LeafSynthesis", "CPMAnt", "CPMAntShape", "LeafExecutor", "LeafSystem", "LeafFormat",
                "LeafGeneration",
                "LeafImport", "LeafStream",
                "LeafTokenizer", "GoldenSupport",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "LeafTokenizerTests", dependencies: ["LeafTokenizer", "LeafSystem", "LeafFormat", "GoldenSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "LeafStreamTests", dependencies: ["LeafStream", "LeafSystem", "LeafFormat", "GoldenSupport"],
            swiftSettings: strict),
    ]
)

// Linked with a main function of libFuzzer's, so no part of an ordinary build: `make fuzz`.
if Context.environment["LEAF_FUZZ_BUILD"] != nil {
    package.targets += [
        .target(name: "CHeapPeak", path: "Tests/CHeapPeak", cSettings: c),
        .target(
            name: "Fuzz",
            dependencies: [
                "CHeapPeak", "CPMAntShape", "LeafExecutor", "LeafSystem", "LeafFormat", "LeafGeneration", "LeafImport",
                "LeafServer", "LeafTokenizer", "LeafWire", "Leafcutter",
            ],
            path: "Tests/Fuzz", swiftSettings: strict),
    ]
}

// The test targets to build, with what they are made of and nothing else: compiling for a sanitizer is slow, see
// Scripts/test-sanitizers.
if let wanted = Context.environment["LEAF_TEST_TARGETS"] {
    var needed = Set<String>()
    func need(_ name: String) {
        guard needed.insert(name).inserted else { return }
        for case .byNameItem(let name, _) in package.targets.first(where: { $0.name == name })?.dependencies ?? [] {
            need(name)
        }
    }
    for name in wanted.split(separator: " ") { need(String(name)) }
    package.targets.removeAll { !needed.contains($0.name) }
    package.products = []
}
