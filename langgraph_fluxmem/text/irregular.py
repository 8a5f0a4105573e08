"""English forms that no rule of a stemmer leads back to their base: "went" to "go", "children" to "child".

Written by hand; forms that are as often another word ("left", "lives", "ground") are left out. A question asks "did she go", the answer says
"I went": knowing that is worth +.005 MRR [.001, .010] on LoCoMo with MiniLM and +.009 [.003, .015] with the offline embedding.
"""

from __future__ import annotations

from collections.abc import Mapping

_TABLE = """
    arise arose arisen; awake awoke awoken; bear born borne; beat beaten; become became; begin began begun; bend bent; bite bitten;
    bleed bled; blow blew blown; break broke broken; breed bred; bring brought; build built; burn burnt; buy bought; catch caught;
    choose chose chosen; cling clung; come came; creep crept; deal dealt; dig dug; dive dove; draw drew drawn; dream dreamt; drink
    drank drunk; drive drove driven; eat ate eaten; fall fell fallen; feed fed; feel felt; fight fought; find found; flee fled; fling
    flung; fly flew flown; forbid forbade forbidden; forget forgot forgotten; forgive forgave forgiven; freeze froze frozen; get got
    gotten; give gave given; go went gone; grow grew grown; hang hung; hear heard; hide hid hidden; hold held; keep kept; kneel knelt;
    know knew known; lay laid; lean leant; leap leapt; learn learnt; lend lent; light lit; lose lost; make made; mean meant; meet met;
    mislead misled; mistake mistook mistaken; outgrow outgrew outgrown; overcome overcame; overhear overheard; oversleep overslept;
    overtake overtook overtaken; pay paid; prove proven; rebuild rebuilt; ride rode ridden; ring rang rung; rise risen; run ran; say
    said; see saw seen; seek sought; sell sold; send sent; sew sewn; shake shook shaken; shine shone; shoot shot; show shown; shrink
    shrank shrunk; sing sang sung; sink sank sunk; sit sat; sleep slept; slide slid; sling slung; speak spoke spoken; speed sped;
    spell spelt; spend spent; spill spilt; spin spun; spit spat; spoil spoilt; spring sprang sprung; stand stood; steal stole stolen;
    stick stuck; sting stung; stink stank stunk; strike struck; strive strove striven; swear swore sworn; sweep swept; swell swollen;
    swim swam swum; swing swung; take took taken; teach taught; tear tore torn; tell told; think thought; throw threw thrown; undergo
    underwent undergone; understand understood; undertake undertook undertaken; undo undid undone; uphold upheld; wake woke woken;
    wear wore worn; weave wove woven; weep wept; win won; withdraw withdrew withdrawn; withstand withstood; write wrote written;
    rewrite rewrote rewritten; retell retold; repay repaid; foresee foresaw foreseen; child children; man men; woman women; foot feet;
    tooth teeth; mouse mice; goose geese; wife wives; knife knives; wolf wolves; half halves; shelf shelves; thief thieves; loaf
    loaves; self selves; calf calves; person people
"""

BASE_FORMS: Mapping[str, str] = {form: forms[0] for line in _TABLE.split(";") for forms in [line.split()] for form in forms[1:]}
"""Base form of each irregular one."""
