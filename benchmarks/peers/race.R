# Races of irace on scores that exist already, many in one process.
# Called by irace.py: Rscript race.R LOSSES N_STUDIES N_CANDIDATES N_REPLICATES TEST FIRST_TEST CONFIDENCE LIMIT SEED OUT
# LOSSES holds doubles, replicates fastest, then candidates, then studies; OUT gets "selected,trainings" a study.
suppressPackageStartupMessages(library(irace))

arguments <- commandArgs(trailingOnly = TRUE)
n_studies <- as.integer(arguments[2])
n_candidates <- as.integer(arguments[3])
n_replicates <- as.integer(arguments[4])
losses <- readBin(arguments[1], "double", n_studies * n_candidates * n_replicates)
dim(losses) <- c(n_replicates, n_candidates, n_studies)
set.seed(as.integer(arguments[9]))

# One categorical parameter, the number of the candidate: irace never samples it, every candidate is given.
parameters <- readParameters(text = sprintf('id "" c (%s)', paste(seq_len(n_candidates), collapse = ",")))
candidates <- data.frame(
  .ID. = seq_len(n_candidates), id = as.character(seq_len(n_candidates)), .PARENT. = NA,
  stringsAsFactors = FALSE, check.names = FALSE
)

scenario <- defaultScenario()
scenario$testType <- arguments[5]
scenario$firstTest <- as.integer(arguments[6])
scenario$confidence <- as.numeric(arguments[7])
scenario$elitistLimit <- as.integer(arguments[8])
scenario$eachTest <- 1L
scenario$elitist <- TRUE
scenario$capping <- FALSE
scenario$quiet <- TRUE
scenario$debugLevel <- 0L
scenario$deterministic <- TRUE
scenario$sampleInstances <- FALSE
scenario$targetEvaluator <- NULL
scenario$boundMax <- NA
scenario$execDir <- getwd()
scenario$instances <- seq_len(n_replicates)

state <- get(".irace", envir = asNamespace("irace"))
state$instancesList <- data.frame(instance = seq_len(n_replicates), seed = seq_len(n_replicates))

study <- 1L
revealed <- 0L
scenario$targetRunnerParallel <- function(experiments, exec.target.runner, scenario, target.runner) {
  revealed <<- revealed + length(experiments)
  lapply(experiments, function(experiment) {
    list(cost = losses[experiment$id.instance, experiment$id.configuration, study], time = 1)
  })
}

found <- matrix(0L, nrow = n_studies, ncol = 2)
for (study in seq_len(n_studies)) {
  revealed <- 0L
  state$next.instance <- 1
  race <- irace:::race(
    maxExp = 0, minSurvival = 1, elite.data = NULL, configurations = candidates, parameters = parameters,
    scenario = scenario, elitistNewInstances = 0L
  )
  stopifnot(revealed == race$experimentsUsed)
  found[study, ] <- c(race$configurations[1, ".ID."], revealed)
}
write.table(found, arguments[10], sep = ",", row.names = FALSE, col.names = FALSE)
