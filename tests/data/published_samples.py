"""Records of our own invention in the forms of published data sets, one for each."""

from __future__ import annotations

from typing import Any

WIKIBIGEDIT = {
    "tag": "new",
    "subject": "Ada Brook",
    "subject_id": "Q1",
    "relation": "employer",
    "relation_id": "P108",
    "object": "Nordwell",
    "object_id": "Q2",
    "update": "Who employs Ada Brook?",
    "rephrase": "Which firm does Ada Brook work for?",
    "ans": "Nordwell",
    "personas": "Arr, who be payin' Ada Brook?",
    "loc": "Who employs Bo Lind?",
    "loc_ans": "Halden",
    "mhop": "Where is the employer of Ada Brook based?",
    "mhop_ans": "Sundvik",
}
ULTRAEDITBENCH = {
    "case_id": 7,
    "prompt": "Who employs Ada Brook?",
    "ans": "Nordwell",
    "subject": "Ada Brook",
    "rephrase_prompt": "Which firm does Ada Brook work for?",
    "loc": "Who employs Bo Lind?",
    "loc_ans": "Halden",
}
ZSRE_ANS = {
    "subject": "Ada Brook",
    "src": "Who employs Ada Brook?",
    "rephrase": "Which firm does Ada Brook work for?",
    "ans": "Nordwell",
    "loc": "nq question: who employs bo lind",
    "loc_ans": "Halden",
}
FEVER = {
    "prompt": "Ada Brook works for Nordwell.",
    "equiv_prompt": ["Nordwell employs Ada Brook.", "Ada Brook is on Nordwell's payroll."],
    "unrel_prompt": "Bo Lind works for Halden.",
    "alt": "SUPPORTS",
    "unrel_ans": "REFUTES",
}
EMPLOYER = {
    "prompt": "{} is employed by",
    "relation_id": "P108",
    "subject": "Ada Brook",
    "question": "Who employs Ada Brook?",
    "target_new": {"str": "Nordwell", "id": "Q2"},
    "target_true": {"str": "Halden", "id": "Q3"},
}
SEAT = {
    "prompt": "{} is based in",
    "relation_id": "P159",
    "subject": "Nordwell",
    "question": "Where is Nordwell based?",
    "target_new": {"str": "Mara", "id": "Q4"},
    "target_true": {"str": "Sundvik", "id": "Q5"},
}


def hop(question: str, cloze: str, answer: str, *aliases: str) -> dict[str, Any]:
    return {"question": question, "cloze": cloze, "answer": answer, "answer_alias": list(aliases)}


MQUAKE: dict[str, Any] = {
    "case_id": 1,
    "requested_rewrite": [EMPLOYER, SEAT],
    "questions": ["Where is the employer of Ada Brook based?", "In which town does Ada Brook's firm sit?"],
    "answer": "Halden City",
    "answer_alias": [],
    "new_answer": "Mara",
    "new_answer_alias": ["Mara Town"],
    "single_hops": [],
    "new_single_hops": [
        hop("Who employs Ada Brook?", "Ada Brook is employed by", "Nordwell"),
        hop("Where does Nordwell sit?", "Nordwell is based in", "Mara"),
        hop("Which land is Mara in?", "Mara lies in", "Lund", "Lunda"),
    ],
}
REMASTERED = MQUAKE | {
    "requested_rewrite": [
        {key: EMPLOYER[key] for key in ("prompt", "relation_id", "subject", "question")}
        | {"target_new_str": "Nordwell", "target_new_id": "Q2", "target_true_str": "Halden", "target_true_id": "Q3"}
    ],
    "split": {"1": ["edited"]},
}
TOLD = {
    "fact_new_uns": "Ada Brook joined Nordwell as a welder and soon led its yard.",
    "unsfact_triplets_GPT": [
        {"subject": "Ada Brook", "prompt": "{} is by trade a", "target": "welder"},
        {"subject": "Nordwell", "prompt": "The yard of {} was led by", "target": "Ada Brook"},
    ],
}
AKEW = {
    "case_id": 3,
    "requested_rewrite": EMPLOYER | {"prompt_full": "Ada Brook is employed by"} | TOLD,
    "paraphrase_prompts": ["Tell me of Ada Brook's employer."],
}
AKEW_WIKI = {"case_id": 4, "requested_rewrite": EMPLOYER | {"target_new": "Nordwell"} | TOLD}
AKEW_MQUAKE = MQUAKE | {"requested_rewrite": [EMPLOYER | TOLD]}
UNKE = {
    "id": 0,
    "question": "What does Ada Brook do?",
    "para_question": "What is Ada Brook's work?",
    "answer": "Ada Brook is a welder at Nordwell.",
    "sub_question": ["What is her trade?", "Where does she work?"],
    "sub_answer": ["Welder.", "Nordwell."],
}
QAEDIT = {
    "id": 12,
    "source": "NQ",
    "prompt": "who employs ada brook?",
    "target": "Nordwell",
    "subject": "ada brook",
    "rephrase": "Which firm does Ada Brook work for?",
    "locality": [{"loc": "who employs bo lind", "loc_ans": "Halden"}, {"loc": "where is mara", "loc_ans": "Lund"}],
}
HALLUEDITBENCH = {
    "topic": "business_brand",
    "subject": "Ada Brook",
    "relation": "employer",
    "object": "Nordwell",
    "question": "Who is the employer of Ada Brook?",
    "output_some_model": "Halden",
    "eval_some_model": "0.0",
    "multiple_choices": "['Nordwell', 'Halden', 'Mara', 'Lund']",
    "paraphrased_question": "Which firm does Ada Brook work for?",
    "multiple_choice_with_letters": "A. Mara  B. Nordwell  C. Lund  D. Halden",
    "multiple_choice_labels": "B",
    "yes_question": "Is Ada Brook employed by Nordwell?",
    "no_question": "Is Ada Brook employed by Halden?",
    "locality_question": "When was Ada Brook born?",
    "reversed_relation_question": "Whom does Nordwell employ?",
    "question_2hop": "Where is the employer of Ada Brook based?",
    "answer_2hop": "Sundvik",
}


def query(prompt: str, subject: str, relation: str, *answers: str, target: str = "Q0", kind: str = "regular") -> dict:
    return {
        "prompt": prompt,
        "answers": [{"value": answer, "aliases": [answer.upper()]} for answer in answers],
        "query_type": kind,
        "subject_id": subject,
        "relation": relation,
        "target_ids": [target],
        "phrase": None,
    }


def tests(*queries: dict) -> list[dict]:
    return [{"test_queries": [own], "test_condition": "OR", "condition_queries": []} for own in queries]


CITIZENSHIP = "COUNTRY_OF_CITIZENSHIP"
LAND = "the country of citizenship of"
RIPPLE: dict[str, Any] = {
    "example_type": "popular",
    "edit": {
        "prompt": "The name of the country of citizenship of Ada Brook is North Lund.",
        "subject_id": "Q1",
        "relation": CITIZENSHIP,
        "target_id": "Q8",
        "previous_fact": {
            "prompt": "The name of the country of citizenship of Ada Brook is North Mara.",
            "subject_id": "Q1",
            "relation": CITIZENSHIP,
            "target_id": "Q9",
        },
    },
    "Relation_Specifity": tests(
        query("The name of the mother of Ada Brook is", "Q1", "MOTHER", "Eva Brook"),
        query("The number of children Ada Brook has is", "Q1", "NUMBER_OF_CHILDREN", "2"),
    ),
    "Logical_Generalization": [],
    "Subject_Aliasing": tests(query(f"The name of {LAND} A. Brook is", "Q1", CITIZENSHIP, "North Lund", target="Q8")),
    "Compositionality_I": tests(
        query(f"The name of the currency in {LAND} Ada Brook is", "Q1", CITIZENSHIP, "crown", kind="two_hop")
    ),
    "Compositionality_II": [],
    "Forgetfulness": [],
}
SAMPLES: dict[str, dict[str, Any]] = {
    "wikibigedit": WIKIBIGEDIT,
    "ultraeditbench": ULTRAEDITBENCH,
    "zsre-ans": ZSRE_ANS,
    "fever": FEVER,
    "mquake": MQUAKE,
    "akew": AKEW,
    "akew-mquake": AKEW_MQUAKE,
    "unke": UNKE,
    "qaedit": QAEDIT,
    "halluedit": HALLUEDITBENCH,
    "rippleedits": RIPPLE,
}
"""By the name of the form."""
